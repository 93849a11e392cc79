"""Headers of image files, read before a pixel is decoded."""

import stat
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageOps

from seglight.data.pairs import BAND_SUFFIXES, IMAGE_SUFFIXES
from seglight.errors import UserError, one_line
from seglight.images.bands import Bands
from seglight.images.exif import turned_size
from seglight.images.image_header import DAMAGE, ImageHeader, UnreadImageError, image_header, opened_by_name
from seglight.images.png import png_fault
from seglight.images.read_bands import image_holding

UNREAD = {
    "deep": "deep-image",
    "bands": "many-bands",
    "pages": "many-pages",
    "transparent": "transparent-image",
    "format": "unread-format",
}
"""Slug by what a sound image holds that is not read."""


@dataclass(frozen=True)
class Header:
    """Header of a file.

    Args:
        path: Path of the file.
        problem: Why the file is no image that is read: "missing", "zero-byte", "unreadable", "truncated", "bomb" or a
            value of `UNREAD`; "" if it is one.
        error: Message of the reader.
        format: Name of the format: PNG, JPEG, ...
        mode: Pillow's name for the layout of the pixels: L, P, RGB, I;16, ...
        size: Height and width in pixels, after the EXIF orientation is applied.
        bits: Bits of a channel in the file.
        channels: Channels in the file.
        orientation: EXIF orientation, 1 to 8.
        alpha: Whether there is a channel or a colour for transparency.
    """

    path: str
    problem: str = ""
    error: str = ""
    format: str = ""
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    bits: int = 8
    channels: int = 1
    orientation: int = 1
    alpha: bool = False

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width as stored."""
        return turned_size(self.size, self.orientation)


def header_of(path: str, labels: bool = False) -> Header:
    """Read the header of a file.

    Args:
        path: Path of the file.
        labels: Whether it holds labels: single channels of any depth are read.
    """
    header, image = open_header(path, labels)
    if image is not None:
        image.close()
    return header


def band_header(path: str, bands: Bands) -> Header:
    """Read the header of an image of declared bands; that of one file a band is the first one's."""
    if bands.is_rgb8 and not is_array_or_heif(path):
        return header_of(path)
    if (problem := _of_status(path)) is not None:
        return problem
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = image_holding(Path(path), bands)
    except UnreadImageError as error:
        slug = "undeclared-bands" if error.kind == "bands" else UNREAD[error.kind]
        return Header(path, slug, one_line(error).removeprefix(f"{path}: "))
    except UserError as error:
        return Header(path, "unreadable", one_line(error).removeprefix(f"{path}: "))
    mode = f"{held.bands} x {held.type}"
    bits = 8 * bands.dtype.itemsize
    return Header(path, format=held.format, mode=mode, size=(held.height, held.width), bits=bits, channels=held.bands)


def is_array_or_heif(path: str) -> bool:
    """Whether a file may be 8-bit RGB in a format that `read_image` does not support."""
    suffix = Path(path).suffix.lower()
    return suffix in BAND_SUFFIXES and suffix not in IMAGE_SUFFIXES


def open_header(path: str, labels: bool = False) -> tuple[Header, Image.Image | None]:
    """Read the header of a file, and open the file without decoding it if it is an image that is read.

    Args:
        path: Path of the file.
        labels: As for `header_of`.
    """
    if (problem := _of_status(path)) is not None:
        return problem, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about damaged tags and images that are merely large
        try:
            found = image_header(Path(path))
            if found.held is not None and not (labels and found.held[0] == "deep" and found.channels == 1):
                return Header(path, UNREAD[found.held[0]], found.held[1]), None
            image = opened_by_name(Path(path))
        except UnreadImageError as error:
            return Header(path, UNREAD[error.kind], error.holds), None
        except Image.DecompressionBombError as error:
            return Header(path, "bomb", str(error)), None
        except (UserError, *DAMAGE) as error:
            bomb = isinstance(error.__cause__, Image.DecompressionBombError)
            return Header(path, "bomb" if bomb else "unreadable", one_line(error).removeprefix(f"{path}: ")), None
    return _header(path, found, image), image


def _of_status(path: str) -> Header | None:
    """Why a file is none that can be read, or None."""
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return Header(path, "missing")
    except OSError as error:
        return Header(path, "unreadable", str(error))
    if not stat.S_ISREG(status.st_mode):
        return Header(path, "unreadable", "not a regular file")
    return None if status.st_size else Header(path, "zero-byte", "0 bytes")


def decode(header: Header, image: Image.Image) -> tuple[Header, Image.Image]:
    """Decode the pixels and apply the EXIF orientation; the header states the problem if that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
        fault = png_fault(Path(header.path).read_bytes()) if header.format == "PNG" else ""
    except DAMAGE as error:
        return replace(header, problem="truncated", error=str(error)), image
    if fault:
        return replace(header, problem="truncated", error=fault), image
    is_turned = header.orientation == 1 or header.format == "TIFF"  # Pillow turns these itself
    return header, image if is_turned else ImageOps.exif_transpose(image)


def _header(path: str, found: ImageHeader, image: Image.Image) -> Header:
    """Join our header and Pillow's, which knows the mode, and packed grey only by the arguments of its decoder."""
    return Header(
        path,
        format=found.format,
        mode=image.mode,
        size=found.size,
        bits=found.bits,
        channels=found.channels,
        orientation=found.orientation,
        alpha=image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info,
    )
