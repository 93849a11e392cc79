"""Splits of a data set that are selected by lists of images (`seglight/data/image_lists.py`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seglight.data.image_lists import read_list, refuse_other_masks, selected
from seglight.data.pairs import FilePairs
from seglight.data.segments import SegmentedSplit, Segments
from seglight.interfaces import Labelled


@dataclass(frozen=True)
class Selection:
    """Some images of several splits, in a given order.

    Args:
        splits: Splits to select from.
        chosen: Index of a split and index in it, for each image.
    """

    splits: Sequence[Labelled]
    chosen: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def fingerprint(self) -> str:
        """Identity of all that the labels depend on except the files."""
        return " | ".join(dict.fromkeys(split.fingerprint for split in self.splits))

    def sources(self, index: int) -> tuple[Path, ...]:
        """The files of a sample."""
        split, position = self.chosen[index]
        return self.splits[split].sources(position)

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image, mask and name of a sample, as its split reads them."""
        split, position = self.chosen[index]
        return self.splits[split].read(position)


class SegmentedSelection(Selection):
    """Some images of splits that have segments."""

    splits: Sequence[SegmentedSplit]

    def read_segments(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str, Segments]:
        """Image, mask, name and segments of a sample, as its split reads them."""
        split, position = self.chosen[index]
        return self.splits[split].read_segments(position)


def listed(path: Path, root: Path, pool: Callable[[], Sequence[Labelled]]) -> Labelled:
    """Select the images that a list names.

    Args:
        path: List of a split.
        root: Folder of the data set.
        pool: Function that returns all splits of the layout, which may have images in common. Pairs of files may be
            missing: only those that are selected have to exist.

    Returns:
        The selected images in the order of the list: `FilePairs` if all splits are pairs of files.

    Raises:
        UserError: There is no such list, it is empty, or it names an image that is missing or ambiguous.
    """
    lines = read_list(path)
    splits = pool()
    places: dict[Path, tuple[int, int]] = {}
    for number, split in enumerate(splits):
        for index in range(len(split)):
            places.setdefault(split.sources(index)[0], (number, index))
    images = selected(lines, list(places), root, path)
    chosen = [places[image] for image in images]
    if not all(isinstance(split, FilePairs) for split in splits):
        segmented = all(isinstance(split, SegmentedSplit) for split in splits)
        return (SegmentedSelection if segmented else Selection)(splits, chosen)
    pairs = [split for split in splits if isinstance(split, FilePairs)]
    masks = [pairs[split].masks[index] for split, index in chosen]
    refuse_other_masks(lines, images, dict(zip(images, masks, strict=True)), root, path)
    surplus = dict.fromkeys(file for split in pairs for file in split.surplus)
    return replace(pairs[0], images=images, masks=masks, surplus=list(surplus))
