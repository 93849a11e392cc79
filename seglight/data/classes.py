"""Class tables: names and colours of classes."""

from dataclasses import dataclass

from seglight.errors import UserError
from seglight.images.types import Color

IGNORE_INDEX = 255
"""Mask value of ignored pixels, whatever value the files of a data set use."""

MOST_CLASSES = IGNORE_INDEX - 1
"""Largest number of classes, 0 to 253: 255 is ignored, and 254 marks values that are refused in tables."""


@dataclass(frozen=True)
class Classes:
    """Classes of a data set in the order of their index, each with a name and an RGB colour for display."""

    names: tuple[str, ...]
    palette: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.names)

    def difference(self, other: "Classes") -> str | None:
        """Difference between two tables, for a message; None if they are equal."""
        if self == other:
            return None
        if set(self.names) != set(other.names):
            counts = " and ".join(f"{len(table)} ({', '.join(table.names[:3])}, ...)" for table in (self, other))
            return f"other classes: {counts}"
        return "the classes in another order" if self.names != other.names else "other colours of the same classes"


class FromCheckpoints:
    """Base of nets and losses that are built from checkpoints.

    Attributes:
        classes: Classes of the checkpoints; None: none of them was a checkpoint.
    """

    classes: Classes | None = None


def check_trained(ours: Classes, *parts: object) -> None:
    """Check that nets and losses that are built from checkpoints have the classes of the data.

    Args:
        ours: Classes of the data.
        parts: Nets and losses; those that are no `FromCheckpoints` have no classes of their own.

    Raises:
        UserError: The classes differ.
    """
    for part in parts:
        theirs = part.classes if isinstance(part, FromCheckpoints) else None
        difference = None if theirs is None else ours.difference(theirs)
        if difference:
            raise UserError(f"the data and the checkpoints that model names have {difference}: take those of this data")


def voc_color(index: int) -> Color:
    """Colour of an index in VOC's palette: the bits of the index are distributed to R, G and B, highest bits first.

    Source: VOClabelcolormap.m of the PASCAL VOC development kit. Data sets without colours of their own use these.
    """
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return (channels[0], channels[1], channels[2])
