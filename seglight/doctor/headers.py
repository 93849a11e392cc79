"""What the header of an image file says, before a pixel is decoded."""

import stat
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from seglight.png import png_fault

ORIENTATION = 274
"""The EXIF tag that turns a picture: 1 as it stands, 3 upside down, 6 and 8 on its side, the others mirrored."""

DAMAGE = (OSError, SyntaxError, ValueError, struct.error)
"""What Pillow raises on damaged files."""


@dataclass(frozen=True)
class Header:
    """One file, unread but for its header.

    Args:
        path: The file.
        problem: Why there is no picture: "missing", "zero-byte", "unreadable", "truncated", "bomb"; "" where there is.
        error: What the reader said of it.
        format: PNG, JPEG, ...
        mode: Pillow's name for the layout of the pixels: L, P, RGB, I;16, ...
        size: Height and width in pixels.
        bits: Bits of a channel in the file.
        orientation: EXIF's, where reading does not obey it; 1 if there is none.
        alpha: Whether there is a channel or a colour for transparency.
    """

    path: str
    problem: str = ""
    error: str = ""
    format: str = ""
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    bits: int = 8
    orientation: int = 1
    alpha: bool = False

    @property
    def turned(self) -> tuple[int, int]:
        """The size after EXIF's rotation."""
        height, width = self.size
        return (width, height) if self.orientation in (5, 6, 7, 8) else (height, width)


def open_header(path: str) -> tuple[Header, Image.Image | None]:
    """The header of a file, and the file opened but not decoded, where it is an image."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            return Header(path, "unreadable", "not a regular file"), None
        if not status.st_size:
            return Header(path, "zero-byte", "0 bytes"), None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about damaged tags and images that are merely large
            image = Image.open(path)
            return _header(path, image), image
    except FileNotFoundError:
        return Header(path, "missing"), None
    except Image.DecompressionBombError as error:
        return Header(path, "bomb", str(error)), None
    except DAMAGE as error:
        return Header(path, "unreadable", str(error)), None


def decode(header: Header, image: Image.Image) -> Header:
    """Decode the pixels in place; the header with its problem, if that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
        fault = png_fault(Path(header.path).read_bytes()) if header.format == "PNG" else ""
    except DAMAGE as error:
        return replace(header, problem="truncated", error=str(error))
    return replace(header, problem="truncated", error=fault) if fault else header


def header_of(path: str) -> Header:
    """The header alone."""
    header, image = open_header(path)
    if image is not None:
        image.close()
    return header


def _header(path: str, image: Image.Image) -> Header:
    tiles = getattr(image, "tile", [])
    raw = str(tiles[0][3]) if tiles else ""
    bits = next((bits for mark, bits in ((";16", 16), ("L;2", 2), ("L;4", 4)) if mark in raw), 8)
    if image.mode[0] in "IF":
        bits = 16 if image.mode.startswith("I;16") else 32
    return Header(
        path,
        format=image.format or "",
        mode=image.mode,
        size=(image.height, image.width),
        bits=bits,
        orientation=_orientation(image),
        alpha=image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info,
    )


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turns these itself
        return 1
    try:
        exif = Image.Exif()  # `getexif` would decode a whole PNG to look for the tag behind the pixels
        exif.load(image.info.get("exif", b""))
        value = exif.get(ORIENTATION, 1)
    except (*DAMAGE, KeyError, TypeError):
        return 1
    return value if value in range(1, 9) else 1
