"""What the choices of a recipe depend on: facts about the data and the machine, without the data themselves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seglight.commands.doctor.facts import LabelTable, PairFacts
from seglight.commands.doctor.statistics import is_sound, statistics
from seglight.images.bands import RGB, Bands

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class DataFacts:
    """Facts about a data set after one scan.

    Args:
        names: Names of the classes.
        train: Number of training images.
        val: Number of validation images.
        pixels: Labelled training pixels of each class.
        images_with: Number of training images that contain each class.
        size: Median height and width of the training images.
        largest: Height and width of the image with the most pixels, of all splits.
        extent: Median of the side of the square that a class fills in an image; the class with the most pixels is left
            out.
        suffix: Most frequent suffix of the image files, such as ".jpg".
        bands: What the images hold.
        by_window: Whether training images are windows of scenes, of which `train` is the number in an epoch.
    """

    names: tuple[str, ...]
    train: int
    val: int
    pixels: tuple[int, ...]
    images_with: tuple[int, ...]
    size: Size
    largest: Size
    extent: int
    suffix: str
    bands: Bands = RGB
    by_window: bool = False


@dataclass(frozen=True)
class Machine:
    """Facts about the device that trains.

    Args:
        accelerator: Lightning's name of its kind: "cpu" or "gpu".
        name: Name of the processor or GPU.
        memory: Bytes of memory that a training may use.
        threads: Threads of torch.
        cores: Cores that this process may use.
        half: Precision of Lightning that may be faster: "bf16-mixed" or "16-mixed"; None: there is none.
    """

    accelerator: str
    name: str
    memory: int
    threads: int
    cores: int
    half: str | None = None


def data_facts(
    train: Sequence[PairFacts], val: Sequence[PairFacts], others: Sequence[PairFacts], table: LabelTable
) -> DataFacts:
    """Facts for the choices from what a scan has found.

    Args:
        train: Facts about the training pairs.
        val: Facts about the validation pairs.
        others: Facts about pairs of further splits.
        table: Meaning of the label values in the training split.
    """
    counts = statistics(train, table)
    sizes = list(counts.sizes.elements())
    every = [*sizes, *statistics([*val, *others], table).sizes.elements()]
    return DataFacts(
        names=table.names,
        train=len(train),
        val=len(val),
        pixels=tuple(counts.pixels.tolist()),
        images_with=tuple(counts.images_with.tolist()),
        size=_median_size(sizes),
        largest=max(every, key=lambda size: (size[0] * size[1], size), default=(0, 0)),
        extent=_extent([one for one in train if is_sound(one, table)], int(np.argmax(counts.pixels))),
        suffix=_usual_suffix(train),
    )


def _median_size(sizes: Sequence[Size]) -> Size:
    if not sizes:
        return (0, 0)
    height, width = np.median(np.array(sizes), axis=0)
    return int(height), int(width)


def _extent(sound: Sequence[PairFacts], background: int) -> int:
    """Median side of the square that a class other than the most frequent one fills in an image; 0: there is none."""
    pixels = [np.delete(one.mask.classes, background) for one in sound]
    present = np.concatenate([areas[areas > 0] for areas in pixels]) if pixels else np.zeros(0)
    return int(np.median(np.sqrt(present))) if len(present) else 0


def _usual_suffix(pairs: Sequence[PairFacts]) -> str:
    suffixes = Counter(Path(one.pair.image).suffix.lower().partition("[")[0] for one in pairs)  # a tile: .tif[0:8, 0:8]
    return max(suffixes, key=lambda suffix: (suffixes[suffix], suffix), default="")
