"""What PNG, JPEG, JPEG 2000 and the other formats of photos hold, and their bands as stored."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.decode import decoded_by_opencv, decoded_by_pillow
from seglight.images.exif import orientation_of, turned, turned_size
from seglight.images.file_content import content
from seglight.images.file_in_memory import AnyFile
from seglight.images.holding import Holding, colour_names
from seglight.images.image_header import MOST_PIXELS, damaged, opened_by_pillow, pillow_header, plain_header
from seglight.images.iso_media import CODESTREAM, avif_bits, jpeg2000_header
from seglight.images.jpeg import JPEG
from seglight.images.png import SIGNATURE, TAIL, png_header

MODES = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1, "I;16B": 1}
"""Number of bands by the mode of a Pillow image whose values are those of the file."""

JPEG2000 = (CODESTREAM, b"\0\0\0\x0cjP  ")
"""Beginnings of JPEG 2000: the codestream, and boxes around it."""


def plain_holding(file: AnyFile) -> Holding:
    """What a file other than TIFF, HEIF and NumPy holds.

    Raises:
        UserError: The file is damaged or no image.
        UnreadImageError: Its format is not supported.
    """
    data = content(file)
    if data.startswith(SIGNATURE) and (png := png_header(data, data[-TAIL:])) is not None:
        size = turned_size((png.height, png.width), orientation_of(png.exif))
        count = (3 if png.palette else png.channels) + png.transparent
        colours = "palette" if png.palette else ""
        names = colour_names(count, has_alpha=True)
        return Holding("PNG", *size, count, _type(png.bits), png.pictures, names, colours=colours)
    if data.startswith(JPEG) and (header := plain_header(data, b"")) is not None:
        pictures = 2 if header.held is not None and header.held[0] == "pages" else 1
        count = min(header.channels, 3)
        colours = "CMYK" if header.channels == 4 else ""
        names = colour_names(count, has_alpha=False)
        return Holding("JPEG", *header.size, count, _type(header.bits), pictures, names, colours=colours)
    if data.startswith(JPEG2000):
        return _jpeg2000(file, data)
    return _by_pillow(file, data)


def plain_bands(file: AnyFile, held: Holding) -> NDArray[Any]:
    """Decode the bands (H, W, bands) of such a file, with its orientation applied.

    Raises:
        UserError: The file is damaged, or needs a package that is not installed.
    """
    data = content(file)
    if held.format == "AVIF" and held.type != "uint8":
        return _by_imagecodecs(file, data, "avif")
    if held.format == "JPEG 2000":
        return _by_imagecodecs(file, data, "jpeg2k")
    if held.format == "JPEG" and held.type == "uint16":
        header = plain_header(data, b"")
        return turned(_by_imagecodecs(file, data, "jpeg"), header.orientation if header is not None else 1)
    if held.format == "PNG":
        header = plain_header(data, data[-TAIL:])
        png = png_header(data, data[-TAIL:])
        orientation = header.orientation if header is not None else 1
        if png is not None and not png.palette and png.bits in (8, 16):
            if png.transparent and png.bits == 16:
                return turned(_by_imagecodecs(file, data, "png"), orientation)
            if not png.transparent:
                return turned(_by_opencv(file, data, held.bands), orientation)
    if held.format == "JPEG" and not held.colours:
        header = plain_header(data, b"")
        flags = cv2.IMREAD_GRAYSCALE if held.bands == 1 else cv2.IMREAD_COLOR_RGB
        pixels = decoded_by_opencv(file, data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        return turned(np.atleast_3d(pixels), header.orientation if header is not None else 1)
    return _pillow_bands(file, data)


def _type(bits: int) -> str:
    return "uint8" if bits <= 8 else "uint16" if bits <= 16 else f"{bits} bits"


def _jpeg2000(file: AnyFile, data: bytes) -> Holding:
    found = jpeg2000_header(data)
    if found is None or not found.height * found.width:
        raise damaged(file, "its header is not readable")
    if found.height * found.width > MOST_PIXELS:
        raise damaged(file, f"{found.height} x {found.width} pixels")
    kind = _type(found.bits)
    if found.signed:
        kind = "int16" if 8 < found.bits <= 16 else f"int{found.bits}"
    return Holding("JPEG 2000", found.height, found.width, found.channels, kind)


def _by_pillow(file: AnyFile, data: bytes) -> Holding:
    with opened_by_pillow(file, data) as image:
        header = pillow_header(image, data)
        palette = image.mode in ("P", "PA")
        transparent = "transparency" in image.info
        bits = avif_bits(data) if image.format == "AVIF" else header.bits
        if palette:
            count = 3 + (transparent or image.mode == "PA")
        else:
            count = MODES.get(image.mode, 3) + (transparent and image.mode in ("1", "L", "RGB"))
        colours = "palette" if palette else "CMYK" if image.mode == "CMYK" else ""
        deep = bits > 8 and image.format != "AVIF"
        unread = f"{image.format} of {bits} bits is not read: save it as PNG or TIFF" if deep else ""
        if not palette and image.mode not in (*MODES, "CMYK"):
            unread = unread or f"pixels of mode {image.mode} are not read: save it as PNG or TIFF"
        pictures = getattr(image, "n_frames", 1)
        if header.held is not None and header.held[0] == "pages":
            pictures = max(pictures, 2)
        name = image.format or "image"
        names = colour_names(count, has_alpha=True)
        return Holding(name, *header.size, count, _type(bits), pictures, names, colours=colours, unread=unread)


def _by_opencv(file: AnyFile, data: bytes, count: int) -> NDArray[Any]:
    pixels = decoded_by_opencv(file, data, cv2.IMREAD_UNCHANGED)  # which applies no orientation
    if count == 1:
        return pixels[..., None]
    if count == 2:  # OpenCV repeats the grey
        return pixels[..., [0, 3]]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if count == 4 else cv2.COLOR_BGR2RGB))


def _by_imagecodecs(file: AnyFile, data: bytes, codec: str) -> NDArray[Any]:
    try:
        import imagecodecs
    except ImportError as error:
        raise UserError(f'{file}: this content needs imagecodecs: pip install "seglight[tiff]"') from error
    codecs: dict[str, Callable[[bytes], Any]] = {
        "avif": imagecodecs.avif_decode,
        "jpeg": imagecodecs.jpeg_decode,
        "jpeg2k": imagecodecs.jpeg2k_decode,
        "png": imagecodecs.png_decode,
    }
    try:
        return np.atleast_3d(np.asarray(codecs[codec](data)))
    except Exception as error:  # each codec has an error class of its own
        raise damaged(file, error) from error


def _pillow_bands(file: AnyFile, data: bytes) -> NDArray[Any]:
    image, header = decoded_by_pillow(file, data, plain_header(data, data[-TAIL:]))
    if image.mode in ("P", "PA") or "transparency" in image.info:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        wanted = "LA" if image.mode in ("1", "L") else "RGBA" if has_alpha else "RGB"
        image = image.convert(wanted)
    elif image.mode == "CMYK":
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    return turned(np.atleast_3d(np.asarray(image)), header.orientation)
