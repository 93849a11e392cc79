"""Samples of the pages of a TIFF by windows, for which only the strips and tiles that a window touches are decoded."""

import lzma
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.deflated import holds_more, inflated
from seglight.images.file_in_memory import AnyFile, FileInMemory, openable
from seglight.images.image_header import MOST_PIXELS, blamed
from seglight.images.tile_cache import TileCache

if TYPE_CHECKING:
    import tifffile

NONE, JPEG, DEFLATE, LZMA = 1, 7, (8, 32946), 34925
"""TIFF's numbers of compressions. tifffile decodes the last two by Python's own modules without imagecodecs: they fill
any memory."""

PALETTE = 3
"""TIFF's number of the interpretation of samples as indices of a palette."""

PLAIN = {"u1": 8, "u2": 16, "i2": 16, "f4": 32, "i1": 8, "u4": 32, "i4": 32, "f8": 64}
"""Bits of a sample by its type, where samples are stored as NumPy holds them."""

BLOCK = 1 << 22
"""Bytes of uncompressed rows that are copied at a time."""

Stored: TypeAlias = mmap.mmap | bytes
"""Bytes of a file."""


@contextmanager
def opened_tiff(file: AnyFile) -> Iterator["tifffile.TiffFile"]:
    """Open a TIFF for its tags.

    Raises:
        UserError: The file is damaged, or any error within the block.
    """
    import tifffile  # here: most images are not TIFFs

    name = file.name if isinstance(file, FileInMemory) else None
    with blamed(file), tifffile.TiffFile(openable(file), name=name) as tiff:
        yield tiff


def stored(file: AnyFile) -> Stored:
    """The bytes of a file, mapped into memory if it is on disk.

    Raises:
        OSError, ValueError: There is no such file, or it is empty.
    """
    if isinstance(file, FileInMemory):
        return file.data
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


class PageSamples:
    """The samples of a page in the machine's order of bytes; those of less than 8 bits fill them: 0 and 1 are 0, 255.

    Args:
        file: The file.
        page: The page, of the file that `opened_tiff` has opened; it may be closed afterwards.
        data: Bytes of the file.
        cache: Cache of decoded strips and tiles, which several pages and files may share.
        fill: Value of strips and tiles that are not stored.
        at_random: Whether windows are read at random places, at which those of images larger than the cache seldom meet
            in the same tile. Otherwise they come from top to bottom, and what they have read of the file is released:
            mapped bytes count as memory of the process.

    Attributes:
        shape: Height, width and number of samples of a pixel.
        dtype: Type of a sample.

    Raises:
        UserError: The page is damaged, or its strips or tiles are too large to be decoded.
    """

    def __init__(
        self,
        file: AnyFile,
        page: "tifffile.TiffPage",
        data: Stored,
        cache: TileCache,
        fill: float = 0,
        at_random: bool = False,
    ) -> None:
        if page.dtype is None:
            raise UserError(f"{file}: samples of {page.bitspersample} bits, which are not read")
        self.file = file
        self.page = page
        self.data = data
        self.cache = cache
        self.key = (str(file), page.index)
        self.stored: np.dtype[Any] = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8) if self.stored.kind == "b" else self.stored.newbyteorder("=")
        self.fill = self.dtype.type(fill)
        self.shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
        self.separate = page.samplesperpixel > 1 and int(page.planarconfig) == 2
        self.samples = 1 if self.separate else self.shape[2]
        self.compression = int(page.compression)
        is_plain = _is_plain(page, self.stored)
        self.is_raw = is_plain and self.compression == NONE
        self.inflates = is_plain and self.compression in DEFLATE and int(page.predictor) in (1, 2)
        self.scale = _scale(page)
        self.jpegtables = page.jpegtables
        if self.compression == JPEG:
            _ = page.is_jfif  # kept: it looks into the file, which is closed when parts are decoded
        self.is_tiled = page.is_tiled
        rows = min(page.rowsperstrip, self.shape[0]) if not page.is_tiled else 0
        self.part = (page.tilelength, page.tilewidth) if page.is_tiled else (rows, self.shape[1])
        self.offsets = page.dataoffsets
        self.lengths = page.databytecounts
        if self.is_raw and all(self.lengths) and page.is_contiguous:
            self._join()
        elif not self.is_raw:
            check_part(file, self.part)
        self.grid = tuple(-(-whole // part) for whole, part in zip(self.shape, self.part, strict=False))
        needed = self.grid[0] * self.grid[1] * (self.shape[2] if self.separate else 1)
        if min(len(self.offsets), len(self.lengths)) < needed:
            raise UserError(f"{file}: not readable as a TIFF (some of its strips or tiles are missing): it is damaged")
        self.part_bytes = self.part[0] * self.part[1] * self.samples * self.stored.itemsize
        size = self.shape[0] * self.shape[1] * self.shape[2] * self.dtype.itemsize
        self.keeps = not at_random or not self.is_tiled or size <= cache.most
        self.mapped = data if isinstance(data, mmap.mmap) and not at_random else None

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window within the page: (h, w, samples).

        Raises:
            UserError: The file is damaged there.
        """
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.shape[2]), self.dtype)
        self.read_into(window, rows, columns)
        return window

    def read_into(self, window: NDArray[Any], rows: slice, columns: slice) -> None:
        """Read a window within the page into an array (h, w, samples).

        Raises:
            UserError: The file is damaged there.
        """
        height, width = self.part
        down = range(rows.start // height, -(-rows.stop // height))
        across = range(columns.start // width, -(-columns.stop // width))
        planes = range(self.shape[2] if self.separate else 1)
        with blamed(self.file):
            for y, x, plane in product(down, across, planes):
                top, bottom = max(y * height, rows.start), min((y + 1) * height, rows.stop)
                left, right = max(x * width, columns.start), min((x + 1) * width, columns.stop)
                inner = slice(top - y * height, bottom - y * height), slice(left - x * width, right - x * width)
                place = slice(top - rows.start, bottom - rows.start), slice(left - columns.start, right - columns.start)
                bands = slice(plane, plane + 1) if self.separate else slice(None)
                window[(*place, bands)] = self._part((plane * self.grid[0] + y) * self.grid[1] + x, *inner)
                if self.is_raw and self.mapped is not None:
                    self._release()
        if self.scale > 1:
            window *= np.uint8(self.scale)
        self._release()

    def _release(self) -> None:
        """Give the mapped bytes back to the system, which reads them from the file again if they are needed."""
        if self.mapped is not None and sys.platform == "linux":
            self.mapped.madvise(mmap.MADV_DONTNEED)

    def _part(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """A window of a strip or tile."""
        offset, length = self.offsets[index], self.lengths[index]
        if not length:  # a hole of a sparse file
            return np.full((1, 1, 1), self.fill, self.dtype)
        if self.is_raw:
            shape = (*self._stored_size(index), self.samples)
            return np.ndarray(shape, self.stored, self.data, offset)[rows, columns]
        if self.inflates and not self.keeps:
            return self._inflated(self._bytes(offset, length), index, rows.stop)[rows, columns]
        part = self.cache.get((self.key, index))
        if part is None:
            part = self._decoded(self._bytes(offset, length), index)
            if self.keeps:
                self.cache.put((self.key, index), part)
        return part[rows, columns]

    def _bytes(self, offset: int, length: int) -> memoryview:
        data = memoryview(self.data)[offset : offset + length]
        if len(data) < length:
            raise ValueError("a strip or tile is cut off")
        return data

    def _decoded(self, data: memoryview, index: int) -> NDArray[Any]:
        if self.inflates:
            return self._inflated(data, index, self._stored_size(index)[0])
        self._check_decoded(data)
        samples, _, shape = self.page.decode(bytes(data), index, jpegtables=self.jpegtables)
        if samples is None:
            return np.full((*shape[1:3], self.samples), self.fill, self.dtype)
        return np.asarray(samples[0], self.dtype)

    def _inflated(self, data: memoryview, index: int, rows: int) -> NDArray[Any]:
        """The first rows of a deflated strip or tile."""
        height, width = self._stored_size(index)
        pixels = width * self.samples * self.stored.itemsize
        content = inflated(data, rows * pixels, height * pixels, 2 * self.part_bytes)[: rows * pixels]
        part = content.view(self.stored).reshape(rows, width, self.samples)
        return _summed(part.astype(self.dtype, copy=False)) if int(self.page.predictor) == 2 else part

    def _check_decoded(self, data: memoryview) -> None:
        """Refuse a strip or tile that is decoded to more than twice its pixels: some programs write a little more."""
        most = 2 * self.part_bytes
        is_longer = self.compression in DEFLATE and holds_more(data, most)
        if self.compression == LZMA:
            is_longer = len(lzma.LZMADecompressor().decompress(data, most + 1)) > most
        if is_longer:
            raise ValueError("a strip or tile is decoded to more than its pixels")

    def _stored_size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a part in the file: a last strip is cut off, a last tile is not."""
        if self.is_tiled:
            return self.part
        return min(self.part[0], self.shape[0] - index % self.grid[0] * self.part[0]), self.part[1]

    def _join(self) -> None:
        """Take rows that follow one another in the file as strips of a size that is copied with few steps."""
        height, width = self.shape[:2]
        row = width * self.samples * self.stored.itemsize
        planes = self.shape[2] if self.separate else 1
        start = self.offsets[0]
        if start + planes * height * row > len(self.data):
            raise UserError(f"{self.file}: not readable as a TIFF (its pixels are cut off): fetch it again")
        rows = min(height, max(1, BLOCK // row))
        self.is_tiled = False
        self.part = (rows, width)
        self.offsets = tuple(
            start + (plane * height + top) * row for plane in range(planes) for top in range(0, height, rows)
        )
        self.lengths = (1,) * len(self.offsets)


def check_part(file: AnyFile, part: tuple[int, int]) -> None:
    """Check that strips or tiles of a height and width are small enough to be decoded.

    Raises:
        UserError: They are not.
    """
    if part[0] * part[1] > MOST_PIXELS:
        raise UserError(
            f"{file}: its strips or tiles have {part[0]}x{part[1]} pixels, and each is decoded as a whole: save it in "
            "tiles"
        )


def cache_for(pages: "list[tifffile.TiffPage]", most: int) -> TileCache:
    """A cache of decoded strips and tiles that has room for one of each page at least, unless it is to keep none.

    Args:
        pages: Pages of a file that is read by windows.
        most: Largest number of bytes otherwise.
    """
    parts = 0
    for page in pages:
        rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        parts += min(rows, page.imagelength) * columns * page.samplesperpixel * np.dtype(page.dtype or "u1").itemsize
    return TileCache(max(most, parts) if most else 0)


def _is_plain(page: "tifffile.TiffPage", kind: np.dtype[Any]) -> bool:
    """Whether decompressed samples lie as NumPy holds them."""
    bits = PLAIN.get(kind.str[1:])
    return bits == page.bitspersample and int(page.fillorder) == 1 and page.imagedepth == 1 and not page.is_subsampled


def _scale(page: "tifffile.TiffPage") -> int:
    """Factor by which samples of less than 8 bits, which are no indices of a palette, fill a byte."""
    bits = page.bitspersample
    if not isinstance(bits, int) or bits >= 8 or page.photometric == PALETTE:
        return 1
    return int(255 // (2**bits - 1))


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
