"""Decoding image files: OpenCV for plain PNG and JPEG, Pillow for everything else.

OpenCV is the faster of the two and notices a PNG whose bytes have changed, which Pillow often does not; but it turns
palettes into colours and says nothing of a file's mode, so that it is only asked where the header leaves no doubt.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.errors import UserError
from seglight.png import SIGNATURE, png_fault

JPEG = b"\xff\xd8\xff"
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may decode: for PostScript, which any file can turn out to be, it would start Ghostscript."""

MOST_PIXELS = 178_956_970
"""Beyond this Pillow takes a file for a decompression bomb, too."""


class Plain(NamedTuple):
    """What the header of an 8-bit PNG or JPEG tells."""

    channels: int
    pixels: int


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as uint8 (H, W, 3) RGB, as its pixels lie: EXIF does not turn it, only a TIFF's own tag does.

    Raises:
        UserError: The file is damaged or no image.
    """
    data = content(path)
    if plain_header(data):
        return decoded(path, data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    with opened(path) as image:
        return as_rgb(path, image)


def as_rgb(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    """What Pillow has opened as uint8 (H, W, 3) RGB.

    Raises:
        UserError: Grey of more than 8 bits, which Pillow would cut off at 255: all white; or a mode that it can't turn
            into RGB.
    """
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{path}: grey of more than 8 bits ({image.mode}): save it as 8-bit RGB or grey")
    try:
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise UserError(f"{path}: of mode {image.mode}, which Pillow has no RGB for: give it as 8-bit RGB") from error


def read_grey(path: Path) -> NDArray[np.uint8] | None:
    """An 8-bit greyscale PNG as uint8 (H, W); None where the file is something else.

    Raises:
        UserError: The file is damaged.
    """
    data = content(path)
    header = plain_header(data)
    if header is None or header.channels != 1 or not data.startswith(SIGNATURE):
        return None
    return decoded(path, data, cv2.IMREAD_GRAYSCALE)


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: It can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable as an image ({error.strerror}): is the path right?") from error


def plain_header(data: bytes) -> Plain | None:
    """Channels and pixels of an 8-bit PNG without palette or a JPEG in grey or YCbCr; None for anything else."""
    if data.startswith(SIGNATURE) and data[24:25] == b"\x08":
        channels = {0: 1, 2: 3, 6: 4}.get(data[25])
        pixels = int.from_bytes(data[16:20]) * int.from_bytes(data[20:24])
        return Plain(channels, pixels) if channels and pixels <= MOST_PIXELS else None
    if not data.startswith(JPEG):
        return None
    place = 2
    while data[place : place + 1] == b"\xff" and place + 10 < len(data):
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            pixels = int.from_bytes(data[place + 5 : place + 7]) * int.from_bytes(data[place + 7 : place + 9])
            channels = data[place + 9]
            return Plain(channels, pixels) if channels in (1, 3) and pixels <= MOST_PIXELS else None
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None


def decoded(path: Path, data: bytes, flags: int) -> NDArray[np.uint8]:
    """What OpenCV makes of the bytes of a file.

    Raises:
        UserError: Nothing.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise _damaged(path, "cut off, or its checksums do not fit")
    return np.asarray(pixels, np.uint8)


def opened(path: Path) -> Image.Image:
    """A file decoded by Pillow.

    Raises:
        UserError: The file is damaged, no image, or so large that it can only be an attack.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
        fault = png_fault(content(path)) if image.format == "PNG" else ""
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(path, error) from error
    if fault:
        raise _damaged(path, fault)
    return image


def pixel_count(path: Path) -> int:
    """What an image's header says; 0 where it can't be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.width * image.height
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0


def _damaged(path: Path, why: object) -> UserError:
    return UserError(f"{path}: not readable as an image ({why}): the file is cut off or damaged, fetch it again")
