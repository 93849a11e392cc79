"""Images of any bands: as one array, whatever the format of their files is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.band_files import band_files
from seglight.images.bands import RGB, Bands
from seglight.images.decode import decode_image, read_image
from seglight.images.file_content import ends
from seglight.images.file_in_memory import AnyFile, FileInMemory
from seglight.images.heif import SUFFIXES as HEIF
from seglight.images.heif import heif_bands, heif_holding
from seglight.images.holding import Holding, check_holding, check_size_of, undeclared
from seglight.images.image_header import UnreadImageError, damaged, image_header
from seglight.images.iso_media import brand
from seglight.images.npy import npy_bands, npy_holding, npy_layout
from seglight.images.plain_holding import plain_bands, plain_holding
from seglight.images.raster import RASTERS, RasterBands, raster_holding
from seglight.images.tiff_bands import tiff_bands
from seglight.images.tiff_holding import tiff_holding
from seglight.images.tiff_pages import BEGINNINGS as TIFF

__all__ = ["band_files", "check_bands", "decode_bands", "holding", "read_bands"]

ARRAYS_AND_RASTERS = (".npy", *RASTERS)
"""Suffixes of files that `read_image` does not support and that no content tells from damaged ones."""

FURTHER = (*ARRAYS_AND_RASTERS, *HEIF)
"""Suffixes of files that `read_image` does not support, for images of 8-bit RGB, too."""

HEAD = 256
"""Number of bytes by which a format is recognised."""


def holding(file: AnyFile) -> Holding:
    """What an image file holds, without decoding its pixels.

    Args:
        file: Path of the file, or its bytes.

    Raises:
        UserError: The file is damaged or no image, or needs a package that is not installed.
        UnreadImageError: Its format is not supported.
    """
    return _READERS[_kind(file)][0](file)


def read_bands(path: Path, bands: Bands) -> NDArray[Any]:
    """Read an image in the type of its file, with its EXIF orientation applied.

    Args:
        path: Path of the image; with one file a band, of the file of the first band.
        bands: Description of the images of the data set.

    Returns:
        (H, W, bands) in `bands.dtype`; for 8-bit RGB, what `read_image` returns.

    Raises:
        UserError: The file is damaged or no image, or needs a package that is not installed.
        UnreadImageError: It holds something else than described, in a line with what it holds and what to declare.
    """
    if bands.is_rgb8:
        return _rgb(path)
    return _joined(path, bands) if bands.files else _decoded(path, bands)


def decode_bands(data: bytes, name: str, bands: Bands) -> NDArray[Any]:
    """Decode the bytes of an image file as `read_bands` reads the file, without writing one.

    The file holds all bands, also where images on disk have one file a band.

    Args:
        data: Bytes of the file.
        name: Name of the file in messages.
        bands: Description of the image.

    Returns:
        (H, W, bands) in `bands.dtype`.

    Raises:
        UserError, UnreadImageError: See `read_bands`.
    """
    file = FileInMemory(data, name)
    return _rgb(file) if bands.is_rgb8 else _decoded(file, replace(bands, files=""))


def check_bands(file: AnyFile, bands: Bands) -> Holding:
    """Check that an image holds what is described, without decoding its pixels.

    Returns:
        What it holds.

    Raises:
        UserError, UnreadImageError: See `read_bands`.
    """
    held = holding(file)
    if held.format == "NumPy array":
        held = npy_layout(file, held, len(bands.names))
    check_holding(file, held, bands)
    return held


def image_holding(path: Path, bands: Bands) -> Holding:
    """What an image holds, of one file or of one file a band, once it is known to be as declared.

    Raises:
        UserError, UnreadImageError: See `read_bands`.
    """
    held = [one for _, _, one in checked_files(path, bands)]
    return held[0] if len(held) == 1 else replace(held[0], bands=len(held), names=bands.names)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image of any bands by its header, with its orientation applied.

    Raises:
        UserError: The file is damaged or no image.
        UnreadImageError: Its format is not supported.
    """
    try:
        return image_header(path).size
    except UserError as error:
        try:
            held = holding(path)  # pages as bands, arrays, rasters and HEIF
        except UserError:
            raise error from None
        return held.height, held.width


def exif_orientation(path: Path) -> int:
    """EXIF orientation of an image by its header, 1 to 8; 1 for a format that has none."""
    try:
        return image_header(path).orientation
    except UserError:
        return 1


def bare_bands(held: Holding) -> Bands:
    """Description of a file by what it states, with the statistics 0 and 1.

    Raises:
        UserError: The file has a type or a number of bands that no description has.
    """
    count = held.bands * held.pages
    names = held.names if len(held.names) == count else tuple(f"band{index + 1}" for index in range(count))
    return Bands(names, held.type, (0.0,) * count, (1.0,) * count, held.nodata, pages=held.pages > 1)


def checked_files(path: Path, bands: Bands) -> list[tuple[Path, Bands, Holding]]:
    """Files of an image, each with its description and what it holds, once these agree.

    Raises:
        UserError, UnreadImageError: See `read_bands`.
    """
    parts = files_of(path, bands)
    held = [check_bands(file, band) for file, band in parts]
    for (file, _), one in zip(parts, held, strict=True):
        check_size_of(file, one, parts[0][0], (held[0].height, held[0].width))
    return [(file, band, one) for (file, band), one in zip(parts, held, strict=True)]


def files_of(path: Path, bands: Bands) -> list[tuple[Path, Bands]]:
    """Files of an image, each with the description of its band, or the only file with that of all bands."""
    if not bands.files:
        return [(path, bands)]
    files = band_files(path, bands)
    return [(file, Bands((name,), bands.type, (0.0,), (1.0,))) for file, name in zip(files, bands.names, strict=True)]


def _rgb(file: AnyFile) -> NDArray[np.uint8]:
    """Read 8-bit RGB; arrays, rasters and HEIF, which `read_image` does not support, too."""
    if file.suffix.lower() in ARRAYS_AND_RASTERS:
        return _decoded(file, RGB)
    try:
        return _image(file)
    except UnreadImageError as error:
        if _kind(file) == "heif":
            return _decoded(file, RGB)
        raise _undeclared(file, error) from error


def _image(file: AnyFile) -> NDArray[np.uint8]:
    return decode_image(file.data, file.name) if isinstance(file, FileInMemory) else read_image(file)


def _joined(path: Path, bands: Bands) -> NDArray[Any]:
    """Read the files of the bands, once their sizes are known to be equal."""
    parts = checked_files(path, bands)
    held = parts[0][2]
    pixels = np.empty((held.height, held.width, len(parts)), bands.dtype)
    for index, (file, band, one) in enumerate(parts):
        pixels[..., index] = _decoded(file, band, one)[..., 0]
    return pixels


def _decoded(file: AnyFile, bands: Bands, held: Holding | None = None) -> NDArray[Any]:
    """Decode a file, once it is known to hold what is described, which `held` shows if it was checked before."""
    held = check_bands(file, bands) if held is None else held
    pixels = _READERS[_kind(file)][1](file, held)
    if pixels.shape != (held.height, held.width, len(bands.names)) or pixels.dtype != bands.dtype:
        raise damaged(file, f"decoded to {pixels.dtype} {pixels.shape}, unlike its header, {held.line()}")
    return pixels


def _undeclared(file: AnyFile, error: UnreadImageError) -> UserError:
    """The error about a file that is more than 8-bit RGB, with what to declare."""
    try:
        return undeclared(error, holding(file))
    except UserError:
        return error


def _kind(file: AnyFile) -> str:
    """Reader of a file."""
    suffix = file.suffix.lower()
    if suffix == ".npy":
        return "npy"
    if suffix in RASTERS and isinstance(file, Path):
        return "raster"
    head = ends(file, HEAD)[0] if isinstance(file, Path) else file.data[:HEAD]
    if head.startswith(TIFF):
        return "tiff"
    return "heif" if brand(head) == "HEIC or HEIF" else "plain"


def _tiff_bands(file: AnyFile, held: Holding) -> NDArray[Any]:
    """Decode a TIFF; one of palette, CMYK or YCbCr colours as 8-bit RGB is read."""
    return _image(file) if held.colours else tiff_bands(file, held)


_READERS: dict[str, tuple[Callable[[Any], Holding], Callable[[Any, Holding], NDArray[Any]]]] = {
    "npy": (npy_holding, npy_bands),
    "raster": (raster_holding, lambda file, held: RasterBands(file, held).whole()),
    "tiff": (tiff_holding, _tiff_bands),
    "heif": (heif_holding, lambda file, _: heif_bands(file)),
    "plain": (plain_holding, plain_bands),
}
"""For each kind of file, what tells its content and what decodes it."""
