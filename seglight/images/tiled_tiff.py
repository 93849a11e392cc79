"""Windows of a TIFF of any bands and type, of which only the tiles or strips that a window touches are decoded."""

import mmap
from enum import Enum
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglight.images.deflated import inflated
from seglight.images.image_header import blamed
from seglight.images.tiff import DEFLATE, check_part
from seglight.images.tiff_holding import nodata_of
from seglight.images.tiff_pages import COLOURS
from seglight.images.tile_cache import TileCache

if TYPE_CHECKING:
    import tifffile

NONE, JPEG, OLD_JPEG = 1, 7, 6

BITS = {"u1": 8, "u2": 16, "i2": 16, "f4": 32, "i1": 8, "u4": 32, "i4": 32, "f8": 64}
"""Bits of a sample by its type."""


class TiledTiff:
    """The first page of a TIFF, with all of its samples as they are stored.

    Args:
        path: Path of the file.
        cache: Cache of decoded tiles.

    Attributes:
        shape: Height, width and number of bands.
        dtype: Type of a sample.

    Raises:
        UserError: The file is damaged.
        UnsuitedError: Its pixels are stored in a way that is left to GDAL.
    """

    def __init__(self, path: Path, cache: TileCache) -> None:
        import tifffile  # here: most images are not TIFFs

        with blamed(path), tifffile.TiffFile(path) as file:
            page = file.pages[0].aspage()
            fault = _left_to_gdal(page)
            self.page = page
            self.stored: np.dtype[Any] = np.dtype(page.dtype or "V1").newbyteorder(file.byteorder)
        if fault:
            raise UnsuitedError(fault)
        self.path = path
        self.cache = cache
        self.dtype = self.stored.newbyteorder("=")
        self.shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
        self.separate = page.samplesperpixel > 1 and int(page.planarconfig) == 2
        rows = min(page.rowsperstrip, self.shape[0]) if not page.is_tiled else 0
        self.part = (page.tilelength, page.tilewidth) if page.is_tiled else (rows, self.shape[1])
        self.samples = 1 if self.separate else self.shape[2]
        self.grid = tuple(-(-whole // part) for whole, part in zip(self.shape, self.part, strict=False))
        self.offsets = page.dataoffsets
        self.lengths = page.databytecounts
        self.compression = int(page.compression)
        self.predictor = int(page.predictor)
        if self.compression != NONE:
            check_part(path, self.part)
        self.nodata = self.dtype.type(nodata_of(page) or 0)  # of holes in a sparse file, as GDAL reads them
        with path.open("rb") as stream:
            self.mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        size = self.shape[0] * self.shape[1] * self.shape[2] * self.dtype.itemsize
        self.keeps = not page.is_tiled or size <= cache.most
        """Whether decoded parts are kept: windows of larger images seldom meet in the same tile."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window within the image: (h, w, bands).

        Raises:
            UserError: The file is damaged there.
        """
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.shape[2]), self.dtype)
        height, width = self.part
        down = range(rows.start // height, -(-rows.stop // height))
        across = range(columns.start // width, -(-columns.stop // width))
        planes = range(self.shape[2] if self.separate else 1)
        with blamed(self.path):
            for y, x, plane in product(down, across, planes):
                top, bottom = max(y * height, rows.start), min((y + 1) * height, rows.stop)
                left, right = max(x * width, columns.start), min((x + 1) * width, columns.stop)
                inner = slice(top - y * height, bottom - y * height), slice(left - x * width, right - x * width)
                place = slice(top - rows.start, bottom - rows.start), slice(left - columns.start, right - columns.start)
                bands = slice(plane, plane + 1) if self.separate else slice(None)
                window[(*place, bands)] = self._part((plane * self.grid[0] + y) * self.grid[1] + x, *inner)
        return window

    def _part(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """A window of a tile or strip."""
        offset, length = self.offsets[index], self.lengths[index]
        height, width = self._stored_size(index)
        if not length:  # a hole of a sparse file
            return np.full((1, 1, 1), self.nodata, self.dtype)
        if self.compression == NONE:
            shape = (height, width, self.samples)
            return np.ndarray(shape, self.stored, self.mapped, offset)[rows, columns]
        if not self.keeps and self.compression in DEFLATE and self.predictor in (1, 2):
            return self._inflated(self.mapped[offset : offset + length], (height, width), rows.stop)[rows, columns]
        part = self.cache.get((self.path, index))
        if part is None:
            part = self._decoded(self.mapped[offset : offset + length], index, (height, width))
            if self.keeps:
                self.cache.put((self.path, index), part)
        return part[rows, columns]

    def _decoded(self, data: bytes, index: int, size: tuple[int, int]) -> NDArray[Any]:
        if self.compression in DEFLATE and self.predictor in (1, 2):
            return self._inflated(data, size, size[0])
        samples, _, shape = self.page.decode(data, index)
        if samples is None:
            return np.full((*shape[1:3], self.samples), self.nodata, self.dtype)
        return np.asarray(samples[0], self.dtype)

    def _inflated(self, data: bytes, size: tuple[int, int], rows: int) -> NDArray[Any]:
        """The first rows of a deflated tile."""
        pixels = size[1] * self.samples * self.stored.itemsize
        content = inflated(data, rows * pixels, size[0] * pixels)[: rows * pixels]
        part = content.view(self.stored).reshape(rows, size[1], self.samples)
        return _summed(part.astype(self.dtype, copy=False)) if self.predictor == 2 else part

    def _stored_size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a part in the file: a last strip is cut off, a last tile is not."""
        if self.page.is_tiled:
            return self.part
        return min(self.part[0], self.shape[0] - index % self.grid[0] * self.part[0]), self.part[1]


class UnsuitedError(ValueError):
    """The pixels of a TIFF are stored in a way that is left to GDAL."""


def _left_to_gdal(page: "tifffile.TiffPage") -> str:
    """Why a page is not read here, or ""."""
    colour = str(page.photometric.name) if isinstance(page.photometric, Enum) else ""
    kind = "" if page.dtype is None else np.dtype(page.dtype).str[1:]
    if kind not in BITS or page.bitspersample != BITS[kind]:
        return f"samples of {page.bitspersample} bits"
    if page.compression in (JPEG, OLD_JPEG) or colour in ("YCBCR", "CFA") or colour not in COLOURS:
        return f"colours of {colour}"
    if page.imagedepth > 1 or int(page.fillorder) != 1:
        return "a volume"
    return ""


def _summed(differences: NDArray[Any]) -> NDArray[Any]:
    """Undo the horizontal differences (h, w, samples) of predictor 2 (TIFF 6.0, section 14).

    Those of floats are differences of their bits as unsigned integers, as libtiff writes them.
    """
    bits = differences.view(f"u{differences.dtype.itemsize}")
    try:
        import imagecodecs
    except ImportError:
        return np.cumsum(bits, axis=1, dtype=bits.dtype).view(differences.dtype)
    summed: NDArray[Any] = imagecodecs.delta_decode(bits, axis=1)
    return summed.view(differences.dtype)
