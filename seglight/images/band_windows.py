"""Images of any bands by windows, of which only the strips and tiles needed are decoded."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.images.holding import Holding
from seglight.images.image_header import MOST_PIXELS, UnreadImageError, refuse, single_page
from seglight.images.npy import NpyBands
from seglight.images.page_samples import BLOCK
from seglight.images.raster import RASTERS, RasterBands
from seglight.images.read_bands import ARRAYS_AND_RASTERS, checked_files, read_bands
from seglight.images.tiff import CACHE_BYTES, TiffWindows
from seglight.images.tiff_bands import TiffBands

WIDEST = MOST_PIXELS // 128
"""Largest width: rows of the smallest window are decoded at once, and a header can state any size."""


class BandWindows(Protocol):
    """An image that is read by windows. It can be sent to another process, which opens the file itself."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window (h, w, bands) in the type of the file; the slices lie inside of the image.

        Raises:
            UserError: The file is damaged there.
        """


def band_windows(path: Path, bands: Bands) -> BandWindows:
    """Open an image to read windows of it.

    TIFF, NumPy arrays and rasters are read in parts, other formats, and TIFFs that are turned, are decoded whole.

    Args:
        path: Path of the image; with one file a band, of the file of the first band.
        bands: Description of the image.

    Raises:
        UserError, UnreadImageError: See `read_bands`.
    """
    if bands.is_rgb8 and path.suffix.lower() not in ARRAYS_AND_RASTERS:
        return _rgb_windows(path)
    files = checked_files(path, bands)
    height, width = files[0][2].height, files[0][2].width
    if width > WIDEST:
        raise UserError(f"{path}: {height} x {width} pixels: its rows are decoded whole, up to {WIDEST} pixels: cut it")
    opened = [_windows(file, band, held, CACHE_BYTES // len(files)) for file, band, held in files]
    return opened[0] if len(opened) == 1 else _Joined(opened)


def reading_bytes(bands: Bands) -> int:
    """Most bytes that reading by windows holds beside the windows: decoded tiles, or blocks of GDAL.

    Those of 8-bit RGB are within the margin of what windows are planned to take.
    """
    return 0 if bands.is_rgb8 else CACHE_BYTES + BLOCK


def has_parts(path: Path, held: Holding) -> bool:
    """Whether windows of a file are read without decoding the whole, unless a tag turns it.

    Args:
        path: Path of the file.
        held: What it holds.
    """
    is_tiff = bool(held.planes) and not held.colours
    return is_tiff or held.format == "NumPy array" or path.suffix.lower() in RASTERS


class _Whole:
    """An image that was decoded whole."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        self.pixels = pixels
        self.shape = (pixels.shape[0], pixels.shape[1])

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        return self.pixels[rows, columns].copy()


class _Joined:
    """Images of one size whose bands follow one another."""

    def __init__(self, parts: list[BandWindows]) -> None:
        self.parts = parts
        self.shape = parts[0].shape

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        return np.concatenate([part.read(rows, columns) for part in self.parts], axis=2)


def _rgb_windows(path: Path) -> BandWindows:
    if path.suffix.lower() in (".tif", ".tiff"):
        page = single_page(path)
        refuse(path, page.unread)
        try:
            return TiffWindows(path, page.number)
        except UnreadImageError:
            raise
        except UserError:  # not by windows
            pass
    return _Whole(read_bands(path, Bands()))


def _windows(path: Path, bands: Bands, held: Holding, cache_bytes: int) -> BandWindows:
    if not has_parts(path, held):
        return _Whole(read_bands(path, bands))
    if held.format == "NumPy array":
        return NpyBands(path, held)
    if path.suffix.lower() in RASTERS:
        return RasterBands(path, held, cache_bytes)
    found = TiffBands(path, held, cache_bytes)
    if found.orientation == 1:
        return found
    return _Whole(read_bands(path, bands))  # turned by a tag
