"""Codecs that convert label files to class indices.

| form of the labels | codec |
| --- | --- |
| index PNG of 8 or 16 bits, or palette PNG, whose index is used | `LabelCodec({0: 0, 1: 1}, ignored=(255,))` |
| 0/255 binary PNG | `LabelCodec({0: 0, 255: 1})` |
| other values, such as ids of which some are classes | `LabelCodec({7: 0, 8: 1}, others="ignore")` |
| array (H, W) of whole numbers in a .npy file | as an index PNG |
| colours of an RGB image | `ColorCodec({(128, 64, 128): 0, (0, 0, 142): 1}, ignored=((0, 0, 0),))` |
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.decode import opened, read_grey
from seglight.images.types import Color, LabelMap
from seglight.ops.label_types import ignored_value, label_type

Others = Literal["refuse", "ignore"]
"""Treatment of values that are neither a class nor ignored."""


class Codec(Protocol):
    """Reads label files. Its repr states everything that determines the result: a cache is valid for one repr."""

    def read(self, path: Path) -> LabelMap:
        """Read the mask in a file: (H, W) of the type of `label_type`, class index or the largest value: ignored."""


@dataclass(frozen=True)
class LabelCodec:
    """Reads index images (palette PNGs as index, never through their colours) and maps values to class indices.

    Args:
        values: Class index of each value in the files, 0 to 65535.
        ignored: Values of ignored pixels.
        others: Whether any other value is refused or ignored.
    """

    values: Mapping[int, int]
    ignored: Sequence[int] = ()
    others: Others = "refuse"
    table: NDArray[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = _empty_table(2**16, self.values.values(), self.others)
        table[list(self.values)] = list(self.values.values())
        table[list(self.ignored)] = ignored_value(table.dtype)
        object.__setattr__(self, "table", table)

    def read(self, path: Path) -> LabelMap:
        """Read the mask in a file: uint8 (H, W), uint16 for more than 255 classes; the largest value is ignored.

        Raises:
            UserError: The file is damaged, in colour, or contains a value that is not in the table.
        """
        return self.mapped(read_index(path), path)

    def mapped(self, raw: NDArray[Any], path: Path) -> LabelMap:
        """Class indices (H, W) of values (H, W) from a file.

        Raises:
            UserError: A value is not in the table.
        """
        mask = _looked_up(self.table, raw)
        unknown = mask == unknown_value(self.table)
        if unknown.any():
            known = _ranges(sorted({*self.values, *self.ignored}))
            raise UserError(_complaint(path, "value", *_counted(raw[unknown], str), known))
        return mask.astype(_mask_type(self.values.values()), copy=False)


@dataclass(frozen=True)
class ColorCodec:
    """Reads label images whose colours name the classes.

    Args:
        colors: Class index of each RGB colour.
        ignored: Colours of ignored pixels.
        others: Whether any other colour is refused or ignored.
    """

    colors: Mapping[Color, int]
    ignored: Sequence[Color] = ()
    others: Others = "refuse"

    def read(self, path: Path) -> LabelMap:
        """Read the mask in a file: uint8 (H, W), uint16 for more than 255 classes; the largest value is ignored.

        Raises:
            UserError: The file is damaged, not in colour, or contains a colour that is not in the table.
        """
        with opened(path) as image:
            if image.mode not in ("RGB", "RGBA", "P"):
                raise UserError(
                    f"{path}: the mask is a grey image (mode {image.mode}) where colours are expected: "
                    "use the colour version of the labels, or declare them as index labels"
                )
            pixels = np.asarray(image.convert("RGB").convert("RGBX"))
        return self.mapped(pixels, path)

    def mapped(self, pixels: NDArray[np.uint8], path: Path) -> LabelMap:
        """Class indices (H, W) of colours from a file: R, G, B and a value that does not count, (H, W, 4).

        Raises:
            UserError: A colour is not in the table.
        """
        codes = pixels.view("<i4")[..., 0] & 0xFFFFFF  # R, G, B, X as one number, lowest byte first, without X
        table = _color_table(tuple(self.colors.items()), tuple(self.ignored), self.others)
        mask = _looked_up(table, codes)
        unknown = mask == unknown_value(table)
        if unknown.any():
            known = f"{len(self.colors)} classes and {len(self.ignored)} ignored colours"
            raise UserError(_complaint(path, "colour", *_counted(codes[unknown], _rgb), known))
        return mask.astype(_mask_type(self.colors.values()), copy=False)


def _mask_type(indices: Collection[int]) -> np.dtype[Any]:
    """Type of the masks of class indices."""
    return label_type(max(indices, default=0) + 1)


def _empty_table(length: int, indices: Collection[int], others: Others) -> NDArray[Any]:
    """A table whose entries are all refused, or ignored; uint16 where bytes have no value left for what is refused."""
    dtype = label_type(max(indices, default=0) + 2)
    ignored = ignored_value(dtype)
    return np.full(length, ignored - 1 if others == "refuse" else ignored, dtype)


def unknown_value(table: NDArray[Any]) -> int:
    """Entry of a table for values that are refused: the largest but one."""
    return ignored_value(table.dtype) - 1


# one table of 16 MB per process, not one in every pickled codec
@lru_cache(maxsize=2)
def _color_table(colors: tuple[tuple[Color, int], ...], ignored: tuple[Color, ...], others: Others) -> NDArray[Any]:
    table = _empty_table(2**24, [index for _, index in colors], others)
    for (r, g, b), index in (*colors, *((color, ignored_value(table.dtype)) for color in ignored)):
        table[r | g << 8 | b << 16] = index
    return table


def _looked_up(table: NDArray[Any], raw: NDArray[Any]) -> NDArray[Any]:
    """`table[raw]` for values that are all in the table, in less than half the time."""
    mask: NDArray[Any] = cv2.LUT(raw, table[:256]) if raw.dtype == np.uint8 else table.take(raw, mode="clip")
    return mask


def read_index(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read the values of an index image or of an array in a .npy file: uint8 (H, W), or uint16 (H, W) of larger values.

    Raises:
        UserError: The file is damaged or not an index image.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    grey = read_grey(path)
    if grey is not None:
        return grey
    with opened(path) as image:
        if image.mode in ("1", "L", "P"):
            return np.asarray(image).astype(np.uint8, copy=False)
        if image.mode.startswith("I"):
            values = np.asarray(image)
            if values.min(initial=0) >= 0 and values.max(initial=0) < 2**16:
                return values.astype(np.uint16)
        kind = "float or 32-bit" if image.mode[0] in "IF" else "colour"
        raise UserError(
            f"{path}: the mask is a {kind} image (mode {image.mode}) where one class index per pixel is expected: "
            "save it as an 8-bit index or palette PNG, or as a 16-bit PNG"
        )


def _read_array(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path}: not a NumPy array of numbers ({error}): save the mask again with numpy.save"
        ) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biu":
        raise UserError(f"{path}: the array is not of whole numbers: save one class index per pixel, as uint8")
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2:
        raise UserError(
            f"{path}: the array has the shape {values.shape} where (height, width) is expected: "
            "save one class index per pixel"
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < 2**16:
        raise UserError(f"{path}: values from {values.min()} to {values.max()}: label values lie in 0 to 65535")
    narrow: NDArray[np.uint8] | NDArray[np.uint16]
    narrow = values.astype(np.uint8) if values.dtype.itemsize == 1 else values.astype(np.uint16)
    return narrow


def _counted(found: NDArray[Any], name: Callable[[int], str]) -> tuple[list[str], int]:
    """The first eight values with their numbers of pixels, and the number of values."""
    values, counts = np.unique(found, return_counts=True)
    pairs = zip(values[:8].tolist(), counts[:8].tolist(), strict=True)
    return [f"{name(value)} ({count} pixels)" for value, count in pairs], len(values)


def _complaint(path: Path, what: str, shown: list[str], number: int, known: str) -> str:
    more = f" and {number - 8} further {what}s" if number > 8 else ""
    return (
        f"{path}: label {what} {', '.join(shown)}{more} is not in the class table ({known}): "
        f"correct the file, or name the {what} as a class or as ignored"
    )


def _rgb(code: int) -> str:
    return f"({code & 255}, {code >> 8 & 255}, {code >> 16})"


def _ranges(values: Sequence[int]) -> str:
    """[0, 1, 2, 255] as '0-2, 255'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
