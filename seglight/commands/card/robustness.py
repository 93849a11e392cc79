"""The part `robustness` of a card: the same net on corrupted images and under attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seglight.checkpoints.checkpoint import load_net
from seglight.commands.card.attack_list import Planned
from seglight.commands.card.attacked import AttackOptions, attacked_scores
from seglight.commands.card.corrupted import CorruptionOptions, corrupted_scores
from seglight.commands.card.measure import Net
from seglight.commands.card.reference import check_labels, read_reference
from seglight.data import SegmentationDataModule
from seglight.data.classes import Classes
from seglight.errors import UserError
from seglight.images.band_names import COLORS, plain_names
from seglight.images.bands import Bands
from seglight.inference import WholeImage
from seglight.interfaces import Labelled, bands_of
from seglight.metrics.image_counts import FILE, ScoredImages


@dataclass(frozen=True)
class Trials:
    """What a net is tried with.

    Args:
        attacks: Attacks and their radii.
        steps: Number of steps of each attack.
        images: Largest number of images that are attacked.
        kinds: Kinds of corruptions.
        reference: Folder of the card of another net, that corruptions are compared with; None: of none.
        transfer: Another model, whose adversarial images are tried, too; None: of none.
    """

    attacks: tuple[Planned, ...]
    steps: int
    images: int
    kinds: tuple[str, ...]
    reference: Path | None
    transfer: Path | None


def unsuited(bands: Bands) -> str | None:
    """Why images can't be corrupted and attacked, in words; None: they are 8-bit RGB, all of it data."""
    if bands.type == "uint8" and plain_names(bands.names) == COLORS and not bands.has_nodata:
        return None
    nodata = ", of which some values are no data" if bands.has_nodata else ""
    return f"corruptions and attacks are defined for 8-bit RGB, and the images are {bands.line()}{nodata}"


def check_trials(
    trials: Trials, split: str, names: Sequence[str], classes: Classes, bands: int, trust: Sequence[str] = ()
) -> None:
    """Read what trials name, before anything takes time.

    Args:
        trials: What the net is tried with.
        split: Name of the split.
        names: Names of its images.
        classes: Classes of the data.
        bands: Number of bands that the net reads.
        trust: Further packages whose classes the other model may name.

    Raises:
        UserError: The reference or the other model can't be used.
    """
    if trials.reference is not None:
        read_reference(trials.reference, split, names, classes.names)
    if trials.transfer is None:
        return
    if not trials.transfer.exists():
        raise UserError(f"--transfer {trials.transfer}: no such checkpoint")
    other, card = load_net(trials.transfer, trust)
    if list(card.class_names) != list(classes.names):
        difference = classes.difference(card.classes)
        raise UserError(
            f"--transfer {trials.transfer}: the data and this model have {difference}: give one of the data"
        )
    if bands_of(other) != bands:
        raise UserError(
            f"--transfer {trials.transfer}: it reads {bands_of(other)} bands, the model {bands}: give another"
        )


def robustness_of(
    net: Net,
    data: SegmentationDataModule,
    name: str,
    split: Labelled,
    trials: Trials,
    class_pixels: Sequence[int],
    device: torch.device,
    out: Path,
    trust: Sequence[str] = (),
) -> dict[str, Any]:
    """Try a net on corrupted images, then attack it; all processes call it, and get the same numbers.

    Args:
        net: The net.
        data: Data module of the split.
        name: Name of the split.
        split: The split.
        trials: What the net is tried with.
        class_pixels: Number of pixels of each class in the split.
        device: Device of this process.
        out: Folder of the card, in which finished passes are kept.
        trust: Further packages whose classes the other model may name.

    Raises:
        UserError: The net, an image or the other model can't be used.
    """
    facts = data.num_classes, data.ignore_index
    reference = None
    if trials.reference is not None:
        own = ScoredImages.load(out / FILE)
        reference = read_reference(trials.reference, name, own.names, data.class_names)
        check_labels(trials.reference, own, data.class_names)
    other = None if trials.transfer is None else load_net(trials.transfer, trust)[0].to(device)
    moved = net.net.to(device).eval()
    corruptions = CorruptionOptions(
        name, *facts, kinds=trials.kinds, num_workers=data.num_workers, memory_format=net.memory_format
    )
    corrupted = corrupted_scores(moved, net.inferer or WholeImage(), split, corruptions, out, reference)
    attacks = AttackOptions(trials.attacks, trials.steps, trials.images)
    attacked = attacked_scores(moved, split, *facts, attacks, out, class_pixels, other)
    return {**corrupted, **attacked}
