"""Pixels of images of any supported type. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.decode import as_rgb, decode_image, read_image, size_of
from seglight.images.file_in_memory import FileInMemory
from seglight.images.image_header import UnreadImageError, blamed
from seglight.images.read_bands import FURTHER, check_bands, decode_bands, read_bands
from seglight.images.tiff_pages import BEGINNINGS as TIFF
from seglight.images.tiff_size import tiff_size
from seglight.images.types import Image

if TYPE_CHECKING:
    from torch import Tensor


def pixels_of(image: Image, bands: Bands = RGB) -> NDArray[Any]:
    """Pixels (H, W, bands) of any image, in the type of a description; for 8-bit RGB, other modes of 8 bits become RGB.

    The EXIF orientation of files and Pillow images is applied.

    Args:
        image: The image.
        bands: What it should hold.

    Raises:
        UserError: The image is damaged, of another type or shape, or a file with other bands.
    """
    if isinstance(image, str | Path):
        return read_pixels(Path(image), bands)
    if isinstance(image, Pillow.Image) and are_rgb(bands):
        image = as_rgb(Path(getattr(image, "filename", "") or "the Pillow image"), image)
    got = described(image)
    # a tensor, recognised without importing torch
    if not isinstance(image, np.ndarray | Pillow.Image) and hasattr(image, "is_meta"):
        kind, dtype = _kind(image), str(image.dtype).removeprefix("torch.")
        got = f"a {dtype} tensor {tuple(image.shape)}" if kind == "strided" else f"a {kind} {dtype} tensor"
        if (kind, dtype, image.ndim) == ("strided", bands.type, 3):
            image = np.moveaxis(image.detach().cpu().numpy(), 0, -1)
    if isinstance(image, np.ndarray) and image.dtype.newbyteorder("=") == bands.dtype:
        image = image.astype(bands.dtype, copy=False)  # of the other order of bytes
    if not isinstance(image, np.ndarray) or not is_image(image, len(bands.names), bands.dtype):
        raise UserError(_refusal(bands, got))
    check_size(*image.shape[:2])
    return image


def read_pixels(path: Path, bands: Bands = RGB) -> NDArray[Any]:
    """Read an image file as (H, W, bands) for a net.

    Args:
        path: Path of the file; of an image with one file a band, that of the first band.
        bands: What the net reads.

    Raises:
        UserError: The file is damaged, or holds something else, which the error shows.
    """
    with as_net_reads(bands):
        return read_image(path) if _is_plain(path, bands) else read_bands(path, bands)


def decode_pixels(data: bytes, name: str, bands: Bands) -> NDArray[Any]:
    """Decode the bytes of an image file as `read_pixels` reads the file.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages.
        bands: What the net reads.

    Raises:
        UserError: See `read_pixels`.
    """
    with as_net_reads(bands):
        return decode_image(data, name) if _is_plain(PurePath(name), bands) else decode_bands(data, name, bands)


def size_of_pixels(data: bytes, name: str, bands: Bands) -> tuple[int, int]:
    """Height and width of an image by the header of its file, see `size_of`; for a net of any bands.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages.
        bands: What the net reads.

    Raises:
        UserError: The header is damaged, or shows something else; decoding it may refuse more.
    """
    if _is_plain(PurePath(name), bands):
        return size_of(data, name)
    file = FileInMemory(data, name)
    if data.startswith(TIFF):  # by few steps whatever the bytes are
        with blamed(file):
            return tiff_size(data)
    with as_net_reads(bands):
        held = check_bands(file, bands)
    return held.height, held.width


def _is_plain(path: PurePath, bands: Bands) -> bool:
    """Whether an image is one that `read_image` reads, by its suffix."""
    return bands.is_rgb8 and path.suffix.lower() not in FURTHER


@contextmanager
def as_net_reads(bands: Bands) -> Iterator[None]:
    """Say what the net reads where a file holds other bands: for it, others can't be declared."""
    try:
        yield
    except UnreadImageError as error:
        if error.kind != "bands" or (bands.is_rgb8 and "bands:" not in str(error)):
            raise
        file = str(error).partition(f": {error.holds}")[0]  # of several files, the one that holds something else
        told = UnreadImageError(f"{file}: {error.holds}, and the net reads {bands.line()}: give it such images")
        told.kind = error.kind
        told.holds = error.holds
        raise told from error


def are_rgb(bands: Bands) -> bool:
    """Whether an image of 8-bit RGB has these bands."""
    return bands.type == "uint8" and tuple(name.lower() for name in bands.names) in (RGB.names, ("r", "g", "b"))


def _refusal(bands: Bands, got: str) -> str:
    count = len(bands.names)
    taken = f"a {bands.type} array (H, W, {count}) or a {bands.type} tensor ({count}, H, W)"
    if are_rgb(bands):
        return f"an image is a path, a Pillow image, {taken}, not {got}"
    return f"an image is a path, {taken}, not {got}: the net reads {bands.line()}"


def _kind(tensor: "Tensor") -> str:
    """Layout of a tensor: "strided" is the usual one."""
    return "nested" if tensor.is_nested else "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")


def is_image(image: object, bands: int | None, dtype: "np.dtype[Any]" = RGB.dtype) -> bool:
    """Whether an object is an array (H, W, bands) of a type, of any number of bands if that is None."""
    if not isinstance(image, np.ndarray) or image.dtype != dtype or image.ndim != 3:
        return False
    return bands in (None, image.shape[2])


def check_size(height: int, width: int) -> None:
    """Check that an image has pixels.

    Raises:
        UserError: The height or the width is 0.
    """
    if height < 1 or width < 1:
        raise UserError(f"an image of {height} x {width} pixels: there is nothing to predict")


def described(image: object) -> str:
    """Type and shape of an image, for a message."""
    return f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
