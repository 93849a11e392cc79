"""Whether labels hold anything to learn and to score, by as few of them as tell."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from seglight.commands.doctor.facts import mask_facts
from seglight.commands.doctor.tables import split_table
from seglight.data.classes import Classes
from seglight.data.pairs import FilePairs
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.interfaces import Labelled

FIRST, MOST = 16, 2000
"""Number of labels of a split that are read first, and at most if those are not enough; evenly spread."""

SHOWN = 6
"""Number of values named in a message."""

REMEDY = {
    "train": "there is nothing to learn from: label them, or check which values the class table ignores",
    "val": "there would be no score: label them, check which values the class table ignores, or train without a score "
    "by --trainer.limit_val_batches 0",
}


@dataclass
class _Labels:
    """The labels of a split, read one by one.

    Args:
        name: Name of the split.
        split: Split whose labels are read.
        classes: Classes of the labels.
    """

    name: str
    split: Labelled
    classes: Classes
    seen: set[int] = field(default_factory=set)
    """Class indices in the labels that were read."""
    read: int = 0

    def __post_init__(self) -> None:
        first = evenly(len(self.split), FIRST)
        self.rest: Iterator[int] = iter(dict.fromkeys([*first, *evenly(len(self.split), MOST)]))

    def read_until(self, enough: Callable[[], bool]) -> bool:
        """Read further labels until a condition holds; returns whether it does."""
        while not enough():
            index = next(self.rest, None)
            if index is None:
                return False
            values = np.flatnonzero(np.bincount(self._mask(index).ravel()))
            self.seen |= {value for value in values.tolist() if value < len(self.classes)}
            self.read += 1
        return True

    def _mask(self, index: int) -> LabelMap:
        if isinstance(self.split, FilePairs):
            return self.split.codec.read(self.split.masks[index])
        return self.split.read(index)[1]

    def refuse(self) -> UserError:
        """The error about labels without a labelled pixel."""
        of_file = f"{self.split.sources(0)[-1]}: "
        values = ""
        table = split_table(self.split, self.classes) if isinstance(self.split, FilePairs) else None
        if table is not None and isinstance(self.split, FilePairs):
            found = mask_facts(str(self.split.masks[0]), table).values.tolist()
            values = f" (it holds the value{'s' * (len(found) > 1)} {', '.join(map(str, found[:SHOWN]))})"
        others = f", nor in any other of the {self.read} {self.name} labels that were read" if self.read > 1 else ""
        return UserError(f"{of_file}not one pixel is labelled in it{values}{others}: {REMEDY[self.name]}")


def check_labelled(train: Labelled, val: Labelled | None, classes: Classes) -> list[str]:
    """Check that training and validation labels contain labelled pixels.

    Args:
        train: Training split.
        val: Split that is scored, or None.
        classes: Classes of the labels.

    Returns:
        Hints, one line each: training labels of a single class, or no class that both splits have.

    Raises:
        UserError: A label file is damaged, or none of the labels read has a labelled pixel; at least 2000 are read, or
            all.
    """
    ours = _Labels("train", train, classes)
    if not ours.read_until(lambda: bool(ours.seen)):
        raise ours.refuse()
    hints = []
    if not ours.read_until(lambda: len(ours.seen) > 1):
        hints.append(f"{_names(ours)} is the only class in the {ours.read} training labels that were read")
    if val is None:
        return hints
    theirs = _Labels("val", val, classes)
    if not theirs.read_until(lambda: bool(theirs.seen)):
        raise theirs.refuse()
    ours.read_until(lambda: ours.read >= FIRST)
    common = lambda: bool(ours.seen & theirs.seen)  # noqa: E731  # used twice
    if not theirs.read_until(common) and not ours.read_until(common):
        hints.append(
            f"training and validation have no class in common: {_names(ours)} in the {ours.read} training labels "
            f"that were read, {_names(theirs)} in the {theirs.read} validation labels"
        )
    return hints


def evenly(number: int, most: int) -> Sequence[int]:
    """At most `most` of `number` indices, evenly spread."""
    return [index * number // most for index in range(most)] if number > most else range(number)


def _names(labels: _Labels) -> str:
    names = [f"'{labels.classes.names[index]}'" for index in sorted(labels.seen)]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
