"""The EXIF tag that says how a picture is to be turned (CIPA DC-008, tag 274), and turning it."""

import struct

import numpy as np
from numpy.typing import NDArray

ORIENTATION = 274
"""The tag. 1: as it stands; 3: upside down; 6 and 8: on its side; 2, 4, 5 and 7: mirrored as well."""

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange height and width."""

SHORT, LONG = 3, 4


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF data; 1 where it has none, or is damaged.

    Args:
        exif: A TIFF header and its first directory, with or without "Exif" and two zeros before it.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        (number,) = struct.unpack_from(f"{order}H", exif, place)
        for entry in range(place + 2, place + 2 + 12 * number, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == ORIENTATION and kind in (SHORT, LONG) and count == 1:
                (value,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), exif, entry + 8)
                return int(value) if value in range(1, 9) else 1
    except struct.error:  # cut off
        pass
    return 1


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A picture (H, W, ...) turned as its orientation says; a copy where there is something to turn."""
    if orientation == 1:
        return pixels
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width of a picture after it was turned."""
    return (size[1], size[0]) if orientation in SIDEWAYS else size
