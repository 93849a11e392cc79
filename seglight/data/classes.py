"""What a class table is."""

from dataclasses import dataclass

IGNORE_INDEX = 255
"""Mask value of ignored pixels, whatever the files of a data set call theirs."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Classes:
    """The classes of a data set in the order of their index, each with a name and an RGB colour for pictures."""

    names: tuple[str, ...]
    palette: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.names)
