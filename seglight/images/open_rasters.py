"""Rasters of any size that are read by windows: tiled TIFFs by themselves, everything else by GDAL (extra `geo`)."""

import os
import resource
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.image_header import blamed
from seglight.images.raster import RasterBands, raster_holding
from seglight.images.tiff_pages import BEGINNINGS, tiff_pages
from seglight.images.tile_cache import CACHE_BYTES, TileCache
from seglight.images.tiled_tiff import TiledTiff, UnsuitedError

MOST_OPEN = 256
"""Largest number of files that a process keeps open, or a quarter of those that the system lets it open."""


class Raster(Protocol):
    """An image of any bands and type that is read by windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and number of bands."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a sample."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window within the image: (h, w, bands)."""


class GdalRaster:
    """A file that GDAL reads, such as a VRT mosaic or a GeoTIFF of JPEG tiles.

    Args:
        path: Path of the file.

    Raises:
        UserError: rasterio is not installed, or can't read the file.
    """

    def __init__(self, path: Path) -> None:
        held = raster_holding(path)
        if held.unread:
            raise UserError(f"{path}: {held.unread}")
        self.dtype = np.dtype(held.type)
        self.shape = (held.height, held.width, held.bands)
        self.windows = RasterBands(path, held)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window within the image: (h, w, bands).

        Raises:
            UserError: The file is damaged there.
        """
        return self.windows.read(rows, columns)


class BandRasters:
    """Bands that are files of their own.

    Args:
        rasters: The files in the order of the bands.

    Raises:
        UserError: Their sizes or types differ.
    """

    def __init__(self, rasters: Sequence[Raster], paths: Sequence[Path]) -> None:
        self.rasters = rasters
        first = rasters[0]
        for raster, path in zip(rasters, paths, strict=True):
            if raster.shape != (*first.shape[:2], 1) or raster.dtype != first.dtype:
                raise UserError(
                    f"{path}: {_size(raster)}, where {paths[0]} has {_size(first)}: the files of bands have "
                    "one size and type"
                )
        self.dtype = first.dtype
        self.shape = (*first.shape[:2], len(rasters))

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window within the image: (h, w, bands)."""
        return np.concatenate([raster.read(rows, columns) for raster in self.rasters], axis=2)


class OpenRasters:
    """Rasters that a process has open: each is opened once, and again in a process that was forked off.

    Of many files, those that were read last stay open.

    Args:
        cache_bytes: Largest number of bytes of decoded tiles that are kept.
    """

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self.cache_bytes = cache_bytes
        self._reset()

    def get(self, paths: tuple[Path, ...]) -> Raster:
        """The raster of a file, or of several files with a band each.

        Raises:
            UserError: A file is missing, damaged, or needs rasterio, which is not installed.
        """
        if self.process != os.getpid():  # files of GDAL have one position for all processes
            self._reset()
        raster = self.rasters.get(paths)
        if raster is None:
            one = [self._opened(path) for path in paths]
            raster = self.rasters[paths] = one[0] if len(one) == 1 else BandRasters(one, paths)
            self.files += len(paths)
            while self.files > most_open() and len(self.rasters) > 1:
                self.files -= len(self.rasters.popitem(last=False)[0])
        self.rasters.move_to_end(paths)
        return raster

    def _opened(self, path: Path) -> Raster:
        return open_raster(path, self.cache)

    def _reset(self) -> None:
        self.process = os.getpid()
        self.cache = TileCache(self.cache_bytes)
        self.rasters: OrderedDict[tuple[Path, ...], Raster] = OrderedDict()
        self.files = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"cache_bytes": self.cache_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.cache_bytes = state["cache_bytes"]
        self._reset()


def most_open() -> int:
    """Number of files that a process keeps open."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN if allowed == resource.RLIM_INFINITY else max(1, min(MOST_OPEN, allowed // 4))


def open_raster(path: Path, cache: TileCache) -> Raster:
    """Open a raster.

    Args:
        path: Path of the file.
        cache: Cache of decoded tiles.

    Raises:
        UserError: The file is missing, damaged, has several pages, or needs rasterio, which is not installed.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file: set data.root to the right place")
    with path.open("rb") as file:
        is_tiff = file.read(4) in BEGINNINGS
    if not is_tiff:
        return GdalRaster(path)
    with blamed(path):
        pages = tiff_pages(path).pages
    if len(pages) > 1:
        raise UserError(
            f"{path}: it has {len(pages)} pages, of which scenes have one: save each, or its bands as one page"
        )
    try:
        return TiledTiff(path, cache)
    except UnsuitedError:
        return GdalRaster(path)


def _size(raster: Raster) -> str:
    height, width, bands = raster.shape
    return f"{height}x{width} pixels and {bands} band{'' if bands == 1 else 's'} of {raster.dtype}"
