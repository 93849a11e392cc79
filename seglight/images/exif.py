"""The EXIF orientation of images (CIPA DC-008, tag 274): reading it and applying it."""

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 274
"""Number of the tag. Values: 1 upright; 3 upside down; 6 and 8 on its side; 2, 4, 5 and 7 mirrored as well."""

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange height and width."""

SHORT, LONG = 3, 4

RAW_PROFILE = "Raw profile type exif"
"""Keyword of the PNG text in which ImageMagick writes EXIF data."""

XMP = ("xmp", "XML:com.adobe.xmp")
"""Keys under which Pillow keeps XMP, from which it takes an orientation that EXIF does not state."""


def orientation_of(exif: bytes) -> int:
    """Read the orientation, 1 to 8, from a block of EXIF data; 1 if it has none or is damaged.

    Args:
        exif: TIFF header and its first directory, optionally preceded by "Exif" and two zeros.
    """
    exif = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")  # some programs write it twice
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (number,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * number, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == ORIENTATION and kind in (SHORT, LONG) and count == 1:
                (value,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), exif, entry + 8)
                return int(value) if value in range(1, 9) else 1
    except struct.error:  # cut off
        pass
    return 1


def exif_in_text(text: str) -> bytes:
    """EXIF data in a PNG's text `RAW_PROFILE`: a name, a length and hexadecimal digits; empty if it is damaged."""
    digits = "".join(text.split("\n")[3:])
    return bytes.fromhex(digits) if re.fullmatch(r"(\s*[0-9a-fA-F]{2})*\s*", digits) else b""


def exif_of(info: dict[Any, Any]) -> bytes:
    """EXIF data in the `info` of a Pillow image; empty if there is none."""
    exif = info.get("exif")
    return bytes(exif) if isinstance(exif, bytes) else exif_in_text(str(info.get(RAW_PROFILE, "")))


def drop_xmp(image: Image.Image) -> dict[Any, Any]:
    """Remove the XMP of a Pillow image, whose orientation Pillow would apply; returns what was removed."""
    return {key: image.info.pop(key) for key in XMP if key in image.info}


def orientation_carried(image: Image.Image, xmp: dict[Any, Any]) -> int:
    """EXIF orientation, 1 to 8, of a loaded Pillow image: the tag set in Python, else that of its file.

    Args:
        image: Image without its XMP.
        xmp: XMP that `drop_xmp` removed; Pillow may have read it before.
    """
    try:
        carried = image.getexif().get(ORIENTATION)
        of_file = {_by_pillow(image.info), _by_pillow(image.info | xmp)}
    except Exception:  # damaged EXIF data, which are ignored when files are read, too
        return orientation_of(exif_of(image.info))
    if carried in of_file:
        return orientation_of(exif_of(image.info))
    return carried if isinstance(carried, int) and carried in range(1, 9) else 1


def _by_pillow(info: dict[Any, Any]) -> Any:
    """Orientation that Pillow finds in the `info` of an image, without tags that were set later."""
    bare = Image.new("1", (1, 1))
    bare.info = info
    return bare.getexif().get(ORIENTATION)


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an orientation to an image (H, W, ...); returns a copy unless the orientation is 1."""
    if orientation == 1:
        return pixels
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    # of a single row or column, ascontiguousarray keeps the negative stride, which torch does not take
    return pixels[::rows, ::columns].copy()


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width of an image after its orientation is applied."""
    return (size[1], size[0]) if orientation in SIDEWAYS else size
