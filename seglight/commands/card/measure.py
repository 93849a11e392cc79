"""The passes over a split: all counts in one, and the calibration at the best temperature in another."""

from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import nn

from seglight.commands.card.counters import (
    CalibrationCounter,
    ErrorCounter,
    Extreme,
    ExtremeCounter,
    ImageCounter,
    Images,
    SizeCounter,
    TemperatureCounter,
)
from seglight.commands.card.evaluation import Counter, Pass, Split, run_pass
from seglight.commands.card.examples import SHOWN
from seglight.data import SegmentationDataModule
from seglight.errors import UserError
from seglight.interfaces import Inferer
from seglight.metrics.calibration import Calibration
from seglight.metrics.object_size import SizeScores


class Net(NamedTuple):
    """A net and how it is applied.

    Attributes:
        net: Net that takes images (B, bands, H, W), in evaluation mode.
        memory_format: Memory format of the net.
        temperature: Divisor of the logits that the model keeps; 1 for none.
        inferer: How images are predicted; None: each whole, in one pass.
    """

    net: nn.Module
    memory_format: torch.memory_format
    temperature: float = 1.0
    inferer: Inferer | None = None


class Measured(NamedTuple):
    """What the passes have counted, on all processes the same.

    Attributes:
        images: Counts of each image.
        sizes: Scores by the size of objects.
        edges: Areas in pixels between the bins of `sizes`.
        before: Calibration of the model as it is.
        temperature: The best temperature; outside of what `BestTemperature` searches, the nearest end.
        after: Calibration at that temperature.
        error_detection: Average precision of a low confidence as a detector of errors; NaN if there is no error.
        worst: Images with the lowest scores.
        best: Images with the highest scores.
    """

    images: Images
    sizes: SizeScores
    edges: tuple[int, ...]
    before: Calibration
    temperature: float
    after: Calibration
    error_detection: float
    worst: list[Extreme]
    best: list[Extreme]


def measure(trainer: Trainer, net: Net, data: SegmentationDataModule, split: Split) -> Measured:
    """Count everything.

    Args:
        trainer: Trainer of all processes.
        net: The net.
        data: Data module with the split.
        split: Split that is scored.

    Raises:
        UserError: The split or a file is missing, the net can't be applied to an image, or nothing is labelled.
    """
    facts = data.num_classes, data.ignore_index
    images = ImageCounter(*facts)
    sizes = SizeCounter(*facts)
    before = CalibrationCounter(data.ignore_index, net.temperature)
    best = TemperatureCounter(data.ignore_index)
    errors = ErrorCounter(data.ignore_index, net.temperature)
    extremes = ExtremeCounter(*facts, SHOWN)
    _run(trainer, net, data, split, images, sizes, before, best, errors, extremes)
    if not before.calibration.pixels.sum():
        raise UserError(
            f"there is no score, as not one pixel of the {len(images.images.names)} images of the {split} split is "
            "labelled: label them, or check which values the class table ignores"
        )
    after = CalibrationCounter(data.ignore_index, best.temperature)
    _run(trainer, net, data, split, after)
    return Measured(
        images.images, sizes.scores, sizes.edges, before.calibration, best.temperature, after.calibration,
        errors.precision, extremes.worst, extremes.best,
    )  # fmt: skip


def _run(trainer: Trainer, net: Net, data: SegmentationDataModule, split: Split, *counters: Counter) -> None:
    run_pass(trainer, Pass(net.net, net.memory_format, data.ignore_index, net.inferer, counters), data, split)
