"""Headers of image files, and content that is not supported.

Content that cannot be converted to 8-bit RGB without loss is refused: more than 8 bits, further bands, several pages or
frames, transparency, and formats that are not supported. docs/tasks/images.md describes this for users.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError, features

from seglight.errors import UserError
from seglight.images.exif import drop_xmp, exif_of, orientation_of, turned_size
from seglight.images.file_content import ends, unreadable
from seglight.images.file_in_memory import AnyFile, openable
from seglight.images.iso_media import avif_bits, brand, jpeg2000_samples
from seglight.images.jpeg import JPEG, jpeg_header
from seglight.images.png import SIGNATURE, png_header
from seglight.images.tiff_pages import BEGINNINGS as TIFF
from seglight.images.tiff_pages import Page, tiff_pages
from seglight.images.unread import unread_content, unread_ending

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that Pillow may decode: for PostScript, which any file can contain, it would start Ghostscript."""

MOST_PIXELS = 178_956_970
"""Largest number of pixels: beyond it, Pillow refuses a file as a decompression bomb, too."""

HEADS = (1 << 16, 1 << 20, -1)
"""Numbers of bytes at the beginning of a file that are searched for a header: EXIF data or a profile may be long."""

DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, RuntimeError, struct.error,
    zlib.error, Image.DecompressionBombError, MemoryError,
)  # fmt: skip
"""Errors that Pillow raises for damaged files, and for files so large that they can only be an attack.

A TIFF strip whose offset is far behind the end of the file leads to a MemoryError.
"""

REMEDIES = {
    "deep": "seglight reads unsigned integers of 8 bits: save it as 8-bit RGB or grey",
    "bands": "seglight reads grey, palettes, RGB and CMYK: save the bands of interest as 8-bit RGB",
    "pages": "seglight reads files of one page in grey, RGB or CMYK: save the parts of interest as such files",
    "transparent": "seglight reads RGB only: save it as RGB, on a background where it is transparent",
    "format": "seglight does not read this format: convert it to PNG, JPEG or TIFF",
}
"""Remedy for each kind of content that is not supported."""

Held = tuple[str, str] | None
"""Kind and description of unsupported content of a file; None if there is none."""


class UnreadImageError(UserError):
    """A sound image with content that is not supported.

    Attributes:
        kind: Key of `REMEDIES`.
        holds: Description of the content.
    """

    kind = ""
    holds = ""


class UnknownFormatError(UserError):
    """Bytes that no decoder takes for an image: of no known format, or damaged at their beginning."""


class ImageHeader(NamedTuple):
    """Header of an image file.

    Args:
        format: Name of the format: PNG, JPEG, ...
        size: Height and width in pixels, after the orientation is applied.
        bits: Bits of a sample.
        channels: Samples of a pixel.
        orientation: EXIF orientation, 1 to 8.
        plain: Whether OpenCV decodes the file without loss.
        held: Content that is not supported.
    """

    format: str
    size: tuple[int, int]
    bits: int
    channels: int
    orientation: int
    plain: bool = False
    held: Held = None


def image_header(path: Path) -> ImageHeader:
    """Read the header of a file, and little more of the file.

    Raises:
        UserError: The file is damaged, no image, or so large that it can only be an attack.
        UnreadImageError: Its format is not supported.
    """
    data = b""
    for length in HEADS:
        data, tail = ends(path, length)
        header = plain_header(data, tail)
        if header is not None:
            return header
        if data.startswith(TIFF):
            return tiff_header(single_page(path))
    with opened_by_pillow(path, data) as image:
        return pillow_header(image, data)


def plain_header(head: bytes, tail: bytes) -> ImageHeader | None:
    """Header of a PNG or JPEG; None for other files, damaged ones, and if `head` is too short.

    Args:
        head: The file, or its beginning.
        tail: The end of the file.
    """
    if head.startswith(SIGNATURE):
        png = png_header(head, tail)
        if png is None:
            return None
        form = "PNG"
        exif = png.exif
        pictures = png.pictures
        size = (png.height, png.width)
        bits = png.bits
        channels = png.channels
        plain = channels != 2 and not png.palette and not png.transparent
    elif head.startswith(JPEG):
        jpeg = jpeg_header(head)
        if jpeg is None:
            return None
        form = "JPEG"
        exif = jpeg.exif
        pictures = jpeg.pictures
        size = (jpeg.height, jpeg.width)
        bits = jpeg.bits
        channels = jpeg.channels
        plain = channels in (1, 3)
    else:
        return None
    orientation = orientation_of(exif)
    plain = plain and bits == 8 and size[0] * size[1] <= MOST_PIXELS
    held = frames_held(pictures, form) or depth_held(channels, bits)
    return ImageHeader(form, turned_size(size, orientation), bits, channels, orientation, plain, held)


def pillow_header(image: ImageFile.ImageFile, data: bytes) -> ImageHeader:
    """Header of a file that Pillow has opened and not decoded.

    Args:
        image: Opened image.
        data: Bytes of the file.
    """
    form = image.format or ""
    channels = len(image.getbands())
    frames = getattr(image, "n_frames", 1)
    orientation = orientation_of(exif_of(image.info))
    bits = pillow_bits(image)
    if form == "AVIF":
        bits = avif_bits(data)
    elif form == "JPEG2000":
        channels, bits = jpeg2000_samples(data)
    elif form == "PPM":
        bits, frames = _of_netpbm(image, data)
    size = turned_size((image.height, image.width), orientation)
    held = frames_held(frames, form) or depth_held(channels, bits)
    return ImageHeader(form, size, bits, channels, orientation, held=held)


def pillow_bits(image: Image.Image) -> int:
    """Bits of a sample in the file, by Pillow's mode and, before decoding, by its decoder's arguments."""
    if image.mode in ("I", "F"):
        return 32
    raw = "".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    return 16 if image.mode.startswith("I;16") or ";16" in raw else 8


def _of_netpbm(image: ImageFile.ImageFile, data: bytes) -> tuple[int, int]:
    """Bits of a sample, and the number of images in the file: 1, or 2 if another one follows."""
    decoder, _, start, args = image.tile[0]
    most = args[1] if isinstance(args, tuple) and isinstance(args[1], int) else 0
    bits = 32 if image.mode == "F" else 16 if most > 255 or image.mode == "I" else 8
    row = (image.width + 7) // 8 if image.mode == "1" else image.width * len(image.getbands()) * bits // 8
    follows = data[start + row * image.height :].lstrip()[:2] in (b"P4", b"P5", b"P6")
    return bits, 1 + (follows and decoder != "ppm_plain")


def tiff_header(page: Page) -> ImageHeader:
    """Header of a TIFF page."""
    size = turned_size(page.size, page.orientation)
    return ImageHeader("TIFF", size, page.bits, page.channels, page.orientation, held=page.unread)


def single_page(file: AnyFile) -> Page:
    """The page of a TIFF with one image; if it has more, the first page, marked as not supported.

    Raises:
        UserError: The file is damaged.
    """
    with blamed(file):
        found = tiff_pages(file)
    name, first = unread_ending(file), found.pages[0]
    if name.startswith("camera raw"):  # its first page is a thumbnail
        return first._replace(unread=("format", name))
    if found.parts:
        return first._replace(unread=("pages", found.parts))
    if len(found.pages) > 1:
        return first._replace(unread=("pages", f"{len(found.pages)} pages (TIFF)"))
    return first


@contextmanager
def opened_by_pillow(file: AnyFile, data: bytes) -> Iterator[ImageFile.ImageFile]:
    """Open the bytes of a file by Pillow without decoding them; errors of Pillow are reported as damage of the file.

    Raises:
        UserError: The file is damaged or no image.
        UnreadImageError: Its format is not supported.
    """
    name = unread_content(data[:1024]) or brand(data)
    if name and name != "AVIF":
        raise unread(file, "format", name)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        if name == "AVIF" and not features.check("avif"):
            raise unread(file, "format", "AVIF, for which this build of Pillow has no decoder") from error
        raise UnknownFormatError(str(damaged(file, "of no known format"))) from error
    except DAMAGE as error:
        raise damaged(file, error) from error


def opened_by_name(file: AnyFile, formats: tuple[str, ...] = FORMATS) -> ImageFile.ImageFile:
    """Open a file by Pillow without decoding it.

    Given the name, Pillow would map an uncompressed TIFF into memory, and mix up the pixels if its orientation is
    sideways; and it would apply the orientation of the XMP, which is removed.

    Raises:
        OSError, SyntaxError, ValueError: The file is damaged, or of another format.
    """
    image = Image.open(openable(file), formats=formats)
    image.filename = ""
    drop_xmp(image)
    return image


@contextmanager
def blamed(file: AnyFile) -> Iterator[None]:
    """Report all errors of tifffile as damage of the file.

    Raises:
        UserError: In place of any other error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if "'imagecodecs' package" in str(error):
            kind = str(error).partition(" requires")[0]
            raise UserError(f'{file}: {kind} needs imagecodecs: pip install "seglight[tiff]"') from error
        if isinstance(error, OSError) and error.strerror:
            raise unreadable(file, error) from error
        raise UserError(f"{file}: not readable as a TIFF ({error}): it is damaged, or uses a rare feature") from error


def frames_held(number: int, form: str) -> Held:
    """Unsupported content of a file with a number of images, or None."""
    return ("pages", f"{number} frames or pictures in one file ({form})") if number > 1 else None


def depth_held(channels: int, bits: int) -> Held:
    """Unsupported content of samples of so many bits, in grey, RGB or CMYK with or without alpha, or None."""
    shown = f"{channels} channel{'' if channels == 1 else 's'} of {bits} bits"
    return ("deep", shown) if bits > 8 else ("bands", shown) if channels > 4 else None


def unread(file: AnyFile, kind: str, holds: str) -> UnreadImageError:
    """The error about a sound image that is not supported.

    Args:
        file: The file.
        kind: Key of `REMEDIES`.
        holds: Description of the content.
    """
    error = UnreadImageError(f"{file}: {holds}; {REMEDIES[kind]}")
    error.kind = kind
    error.holds = holds
    return error


def refuse(file: AnyFile, held: Held, any_depth: bool = False) -> None:
    """Raise if a file has unsupported content.

    Args:
        file: The file.
        held: Unsupported content, or None.
        any_depth: Whether samples of more than 8 bits are accepted.

    Raises:
        UnreadImageError: The file has unsupported content.
    """
    if held is not None and not (any_depth and held[0] == "deep"):
        raise unread(file, *held)


def damaged(file: AnyFile, why: object) -> UserError:
    """The error about a file that can't be decoded."""
    if isinstance(why, MemoryError):
        why = "decoding it needs more memory than available"
    return UserError(f"{file}: not readable as an image ({why}): the file is cut off or damaged, fetch it again")
