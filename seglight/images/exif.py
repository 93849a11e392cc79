"""The EXIF tag that says how a picture is to be turned (CIPA DC-008, tag 274), and turning it."""

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 274
"""The tag. 1: as it stands; 3: upside down; 6 and 8: on its side; 2, 4, 5 and 7: mirrored as well."""

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange height and width."""

SHORT, LONG = 3, 4

RAW_PROFILE = "Raw profile type exif"
"""The text of a PNG in which ImageMagick writes EXIF data."""

XMP = ("xmp", "XML:com.adobe.xmp")
"""Where Pillow keeps XMP, from which it takes an orientation that EXIF does not state."""


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF data; 1 where it has none, or is damaged.

    Args:
        exif: A TIFF header and its first directory, with or without "Exif" and two zeros before it.
    """
    exif = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")  # some programs write it twice
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


def exif_in_text(text: str) -> bytes:
    """EXIF data in a PNG's text `RAW_PROFILE`: a name, a length and hexadecimal digits; empty where it is damaged."""
    digits = "".join(text.split("\n")[3:])
    return bytes.fromhex(digits) if re.fullmatch(r"(\s*[0-9a-fA-F]{2})*\s*", digits) else b""


def exif_of(info: dict[Any, Any]) -> bytes:
    """The EXIF data among what Pillow has read beside the pixels; empty if there is none."""
    exif = info.get("exif")
    return bytes(exif) if isinstance(exif, bytes) else exif_in_text(str(info.get(RAW_PROFILE, "")))


def drop_xmp(image: Image.Image) -> dict[Any, Any]:
    """Take the XMP from an image, by which Pillow would turn it; what was taken."""
    return {key: image.info.pop(key) for key in XMP if key in image.info}


def orientation_carried(image: Image.Image, xmp: dict[Any, Any]) -> int:
    """The EXIF orientation, 1 to 8, of a loaded Pillow image: the tag that was set in Python, else that of its file.

    Args:
        image: Without its XMP.
        xmp: What `drop_xmp` took from it; Pillow may have looked into it before.
    """
    try:
        carried = image.getexif().get(ORIENTATION)
        of_file = {_by_pillow(image.info), _by_pillow(image.info | xmp)}
    except Exception:  # of damaged EXIF data, which turn nothing where files are read either
        return orientation_of(exif_of(image.info))
    if carried in of_file:
        return orientation_of(exif_of(image.info))
    return carried if isinstance(carried, int) and carried in range(1, 9) else 1


def _by_pillow(info: dict[Any, Any]) -> Any:
    """The orientation that Pillow finds in what it has read beside the pixels, whatever was set later."""
    bare = Image.new("1", (1, 1))
    bare.info = info
    return bare.getexif().get(ORIENTATION)


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
