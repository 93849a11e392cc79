"""Decoding image files: OpenCV for plain PNG and JPEG, Pillow for everything else.

OpenCV is faster and notices a PNG whose bytes have changed, which Pillow often does not; but it converts palettes to
colours and does not report a file's mode, so it is used only if the header leaves no doubt.

The EXIF orientation of every file is applied, and no content is dropped silently: see `image_header`.
"""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import COMPRESSION_INFO

from seglight.errors import UserError
from seglight.images.exif import SIDEWAYS, drop_xmp, exif_of, orientation_carried, orientation_of, turned, turned_size
from seglight.images.file_content import content
from seglight.images.file_in_memory import AnyFile, FileInMemory
from seglight.images.image_header import (
    DAMAGE,
    ImageHeader,
    blamed,
    damaged,
    depth_held,
    frames_held,
    image_header,
    opened_by_name,
    opened_by_pillow,
    pillow_bits,
    pillow_header,
    plain_header,
    refuse,
    single_page,
    unread,
)
from seglight.images.iso_media import brand
from seglight.images.png import SIGNATURE, TAIL, is_cut_off, png_fault
from seglight.images.tiff_pages import BEGINNINGS as TIFF
from seglight.images.tiff_pages import Page, compression_name, tiff_pages
from seglight.images.tiff_size import tiff_size
from seglight.images.types import LabelMap

HEAD = 1 << 18
"""Number of bytes at the beginning of a file of a stranger that are searched for a header that is rare or damaged."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file as uint8 (H, W, 3) RGB, with its EXIF orientation applied.

    Raises:
        UserError: The file is damaged or no image.
        UnreadImageError: It has more than 8-bit RGB can hold (depth, bands, pages, frames, transparency), or its format
            is not supported.
    """
    return _image(path)


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of an image file as `read_image` reads the file, without writing one.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages.

    Returns:
        Uint8 (H, W, 3) RGB, with its EXIF orientation applied.

    Raises:
        UserError, UnreadImageError: See `read_image`.
    """
    return _image(FileInMemory(data, name))


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """Height and width of an image by the header of its file, with its EXIF orientation applied.

    It takes little time and memory whatever the bytes are, which may come from a stranger.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages.

    Raises:
        UserError: The header is damaged.
        UnknownFormatError: The bytes are no image.
        UnreadImageError: Its header shows what `decode_image` does not support; `decode_image` may refuse more.
    """
    file = FileInMemory(data, name)
    size = _size(file)
    if not min(size):
        raise damaged(file, "it has no pixels")
    return size


def read_page(path: Path, index: int) -> NDArray[np.uint8]:
    """Read a page of a TIFF as uint8 (H, W, 3) RGB, with its orientation applied.

    Args:
        path: Path of the file.
        index: Number of a page that `tiff_pages` lists.

    Raises:
        UserError: The file is damaged.
        UnreadImageError: See `read_image`.
    """
    with blamed(path):
        page = next(page for page in tiff_pages(path).pages if page.number == index)
    return _page_as_rgb(path, page)


def read_grey(path: Path) -> NDArray[np.uint8] | None:
    """Read an 8-bit greyscale PNG as uint8 (H, W), with its EXIF orientation applied; None for any other file.

    Raises:
        UserError: The file is damaged, or an animation.
    """
    data = content(path)
    header = plain_header(data, data[-TAIL:])
    if header is None or not header.plain or header.channels != 1 or header.format != "PNG":
        return None
    refuse(path, header.held)
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    return turned(decoded_by_opencv(path, data, flags), header.orientation)


def opened(path: Path) -> Image.Image:
    """Decode a label file by Pillow in its own mode, with its EXIF orientation applied.

    Raises:
        UserError: The file is damaged, no image, or so large that it can only be an attack.
        UnreadImageError: It has several pages or frames, or colours of more than 8 bits, or its format is not
            supported.
    """
    data = content(path)
    if data.startswith(TIFF):
        page = single_page(path)
        refuse(path, page.unread, any_depth=page.channels == 1)
        return _tiff_page(path, page)
    image, header = decoded_by_pillow(path, data, plain_header(data, data[-TAIL:]), for_labels=True)
    return image if header.orientation == 1 else ImageOps.exif_transpose(image)


def as_rgb(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    """Convert a Pillow image to uint8 (H, W, 3) RGB, with its EXIF orientation applied.

    Args:
        path: Path of its file, or its name in messages.
        image: Opened image; if it has several frames and is at the first one, that frame does not count as chosen.

    Raises:
        UserError: The image is damaged.
        UnreadImageError: See `read_image`, as far as Pillow reports it.
    """
    name = getattr(image, "filename", "")
    of_file = bool(name) and path.is_file()
    xmp = drop_xmp(image)
    try:
        chosen = image.tell() > 0
        frames = 1 if chosen or of_file else getattr(image, "n_frames", 1)  # Pillow fails on pages of unknown modes
        bits = pillow_bits(image)
        if isinstance(image, ImageFile.ImageFile):
            image.filename = ""  # see `opened_by_name`
        image.load()
        xmp |= drop_xmp(image)  # stored behind the pixels
        orientation = orientation_carried(image, xmp)
    except DAMAGE as error:
        raise damaged(path, error) from error
    finally:
        if isinstance(image, ImageFile.ImageFile):
            image.filename = name
        image.info |= xmp
    held = frames_held(frames, image.format or "Pillow") or depth_held(len(image.getbands()), bits)
    if of_file:  # the file shows what Pillow has dropped
        held = image_header(path).held
        held = None if chosen and held is not None and held[0] == "pages" else held
        if image.format == "TIFF" and not chosen and held is None and (page := single_page(path).number):
            raise UserError(
                f"{path}: its first page is a reduced copy or a mask, the image is page {page + 1}, and of the two the "
                f"Pillow image shows the first: predict the path, or call `image.seek({page})` before"
            )
    refuse(path, held)
    return turned(_rgb(path, image), orientation)


def pixel_count(path: Path) -> int:
    """Number of pixels by an image's header; 0 if it can't be read."""
    try:
        height, width = image_header(path).size
    except UserError:
        return 0
    return height * width


def check_upright(path: Path, image: NDArray[Any], labels: Path, mask: LabelMap) -> None:
    """Check that labels were not made for an image as it is stored, without its EXIF orientation.

    Args:
        path: Path of the image.
        image: Image (H, W, 3) as it was read.
        labels: Path of the label file.
        mask: Mask (H, W) as it was read.

    Raises:
        UserError: The sizes show that they were.
    """
    if image.shape[:2] == mask.shape or image.shape[1::-1] != mask.shape:
        return
    try:
        orientation = image_header(path).orientation
    except UserError:  # a format of other bands, which has no orientation
        return
    if orientation in SIDEWAYS:
        raise UserError(
            f"{path}: its EXIF orientation {orientation} turns it to {image.shape[0]}x{image.shape[1]} (height x "
            f"width), as viewers and labelling tools show it, but {labels} fits the image as it is stored, "
            f"{mask.shape[0]}x{mask.shape[1]}: label the turned image, or remove the tag from the image, as "
            "`seglight doctor --fix` does"
        )


def _image(file: AnyFile) -> NDArray[np.uint8]:
    data = content(file)
    if data.startswith(TIFF):
        return _page_as_rgb(file, single_page(file))
    header = plain_header(data, data[-TAIL:])
    if header is None or not header.plain:
        image, header = decoded_by_pillow(file, data, header)
        return turned(_rgb(file, image), header.orientation)
    refuse(file, header.held)
    if header.channels < 4:
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        return turned(decoded_by_opencv(file, data, flags), header.orientation)
    pixels = decoded_by_opencv(file, data, cv2.IMREAD_UNCHANGED)  # which applies no orientation
    _refuse_transparency(file, pixels[..., 3])
    return turned(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), np.uint8), header.orientation)


def _size(file: FileInMemory) -> tuple[int, int]:
    data = file.data
    if data.startswith(TIFF):
        with blamed(file):
            return tiff_size(data)
    header = plain_header(data, data[-TAIL:])
    if header is not None:
        refuse(file, header.held)
        return header.size
    # Pillow reads all headers but these two by loops in Python, which long files would keep busy
    whole = data.startswith(b"RIFF") or brand(data) == "AVIF"
    with opened_by_pillow(file, data if whole else data[:HEAD]) as image:
        return turned_size((image.height, image.width), orientation_of(exif_of(image.info)))


def _refuse_transparency(file: AnyFile, alpha: NDArray[np.uint8]) -> None:
    if alpha.min(initial=255) < 255:
        number = np.count_nonzero(alpha < 255)
        shown = f"{number} pixel{'' if number == 1 else 's'}"
        raise unread(file, "transparent", f"{shown} whose alpha is below 255: transparent, or another band")


def _page_as_rgb(file: AnyFile, page: Page) -> NDArray[np.uint8]:
    refuse(file, page.unread)
    return _rgb(file, _tiff_page(file, page))


def _tiff_page(file: AnyFile, page: Page) -> Image.Image:
    """Decode a page by Pillow, which applies its orientation, if it has the size that memory was granted for."""
    if page.compression not in COMPRESSION_INFO:
        raise unread(file, "format", f"a TIFF compressed as {compression_name(page.compression)}")
    try:
        with opened_by_name(file, ("TIFF",)) as image:
            image.seek(page.number)
            stated = tiff_size(file.data) if isinstance(file, FileInMemory) else page.size
            if image.width * image.height != math.prod(stated):  # readers of TIFFs differ on damaged tags
                raise ValueError("its tags state different sizes")
            drop_xmp(image)  # of this page
            image.load()
    except UnidentifiedImageError as error:  # though its tags could be read
        shown = f"{page.channels} channel{'' if page.channels == 1 else 's'} of {page.bits} bits"
        raise unread(file, "format", f"a TIFF of {shown} that Pillow does not decode") from error
    except DAMAGE as error:
        raise damaged(file, error) from error
    return image


def decoded_by_pillow(
    file: AnyFile, data: bytes, header: ImageHeader | None, for_labels: bool = False
) -> tuple[Image.Image, ImageHeader]:
    """Decode the pixels as stored, and the header.

    Args:
        file: The file.
        data: Its bytes.
        header: Its header by `plain_header`.
        for_labels: Whether single samples of any depth are accepted.

    Raises:
        UserError: The file is damaged or no image.
        UnreadImageError: It has more than 8 bits, or several frames.
    """
    if header is not None:
        refuse(file, header.held, for_labels and header.channels == 1)
    with opened_by_pillow(file, data) as image:
        if header is None:
            header = pillow_header(image, data)
            refuse(file, header.held, for_labels and header.channels == 1)
        image.load()
    fault = png_fault(data) if image.format == "PNG" else ""
    if fault:
        raise damaged(file, fault)
    return image, header


def _rgb(file: AnyFile, image: Image.Image) -> NDArray[np.uint8]:
    """Convert a decoded image to RGB without applying an orientation."""
    try:
        if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            _refuse_transparency(file, np.asarray(image.getchannel("A")))
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise unread(file, "format", f"pixels of mode {image.mode}") from error


def decoded_by_opencv(file: AnyFile, data: bytes, flags: int) -> NDArray[Any]:
    """Decode the bytes of a file by OpenCV.

    Raises:
        UserError: The file is damaged.
    """
    # OpenCV allocates what a chunk states, be it a gigabyte behind the end of the file
    is_whole = not (data.startswith(SIGNATURE) and is_cut_off(data))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if is_whole else None
    if pixels is None:
        raise damaged(file, "cut off, or its checksums do not fit")
    return np.asarray(pixels)
