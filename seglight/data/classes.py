"""Class tables: names and colours of classes."""

from dataclasses import dataclass

from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.types import Color
from seglight.ops.label_types import IGNORE_INDEX as IGNORE_INDEX
from seglight.ops.label_types import ignore_index_of


@dataclass(frozen=True)
class Classes:
    """Classes of a data set in the order of their index, each with a name and an RGB colour for display."""

    names: tuple[str, ...]
    palette: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ignore_index(self) -> int:
        """Mask value of ignored pixels, whatever value the files use: 255, or 65535 for more than 255 classes."""
        return ignore_index_of(len(self))

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
        bands: What a checkpoint reads beside the net that is trained; None: there is none.
    """

    classes: Classes | None = None
    bands: Bands | None = None


def check_trained(ours: Classes, *parts: object, bands: Bands = RGB) -> None:
    """Check that nets and losses that are built from checkpoints have the classes of the data, and read its images.

    Args:
        ours: Classes of the data.
        parts: Nets and losses; those that are no `FromCheckpoints` have no classes of their own.
        bands: What the images of the data hold.

    Raises:
        UserError: The classes or the images differ.
    """
    for part in parts:
        if not isinstance(part, FromCheckpoints):
            continue
        difference = None if part.classes is None else ours.difference(part.classes)
        if difference is None and part.bands is not None:
            difference = bands.difference(part.bands)
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
