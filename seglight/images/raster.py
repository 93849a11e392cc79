"""Rasters that only GDAL reads, such as mosaics (VRT), by rasterio, an optional package."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.bands import TYPES
from seglight.images.file_in_memory import AnyFile
from seglight.images.geo import library
from seglight.images.holding import Holding, joined_names, stated_nodata
from seglight.images.image_header import MOST_PIXELS

RASTERS = (".vrt", ".img", ".bil", ".bsq", ".bip", ".ecw", ".kea")
"""Suffixes of files that are read by rasterio."""


class RasterBands:
    """The bands of a raster by windows.

    Args:
        path: Path of the file.
        held: What it holds.
        cache_bytes: Most bytes of blocks that GDAL keeps, of all files together; None: as many as it is used to.

    Attributes:
        shape: Height and width.

    Raises:
        UserError: The file is damaged, or rasterio is not installed.
    """

    def __init__(self, path: Path, held: Holding, cache_bytes: int | None = None) -> None:
        self.path = path
        self.held = held
        self.cache_bytes = cache_bytes
        self.shape = (held.height, held.width)
        self._opened: Any = None

    def __reduce__(self) -> tuple[type, tuple[Path, Holding, int | None]]:
        return type(self), (self.path, self.held, self.cache_bytes)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window (h, w, bands).

        Raises:
            UserError: The file is damaged there.
        """
        rasterio = _rasterio(self.path)
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        limit = {} if self.cache_bytes is None else {"GDAL_CACHEMAX": self.cache_bytes}
        try:
            with rasterio.Env(**limit):
                if self._opened is None:
                    self._opened = _open(self.path)
                found = self._opened.read(window=window)
        except (rasterio.errors.RasterioError, UnicodeDecodeError) as error:
            raise _damaged(self.path, error) from error
        return np.ascontiguousarray(np.moveaxis(found, 0, -1))

    def whole(self) -> NDArray[Any]:
        """Read all bands (H, W, bands).

        Raises:
            UserError: The file is damaged, or has so many pixels that it is read by windows only.
        """
        height, width = self.shape
        if height * width > MOST_PIXELS:
            raise UserError(f"{self.path}: {height} x {width} pixels, which are read by windows only")
        return self.read(slice(0, height), slice(0, width))


def raster_holding(file: AnyFile) -> Holding:
    """What a raster holds by rasterio.

    Raises:
        UserError: The file is damaged, or rasterio is not installed.
    """
    rasterio = _rasterio(file)
    try:
        with _open(file) as raster:
            kinds = {*raster.dtypes}
            kind = raster.dtypes[0]
            names = joined_names([name or "" for name in raster.descriptions], raster.count)
            return Holding(
                raster.driver,
                raster.height,
                raster.width,
                raster.count,
                kind,
                names=names,
                nodata=stated_nodata(raster.nodata, np.dtype(kind) if kind in TYPES else None),
                unread="" if len(kinds) == 1 else f"its bands are of {' and '.join(sorted(kinds))}: save one type",
            )
    except (rasterio.errors.RasterioError, UnicodeDecodeError) as error:
        raise _damaged(file, error) from error


def raster_parts(path: Path) -> list[Path]:
    """Files that a raster reads beside its own, such as the images of a mosaic.

    Raises:
        UserError: The file is damaged, or rasterio is not installed.
    """
    rasterio = _rasterio(path)
    try:
        with _open(path) as raster:
            return [file for file in map(Path, raster.files) if file != path and file.is_file()]
    except (rasterio.errors.RasterioError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _open(file: AnyFile) -> Any:
    """Open a file that may have no georeference, without a warning."""
    rasterio = _rasterio(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(file)


def _rasterio(file: AnyFile) -> Any:
    return library("rasterio", f"{file}: {file.suffix}")


def _damaged(file: AnyFile, error: Exception) -> UserError:
    why = " ".join(str(error).split())
    return UserError(f"{file}: not readable as a raster ({why}): it, or a file that it names, is missing or damaged")
