"""TIFF: the pages of a file, and windows of a page that is too large to be decoded whole."""

import lzma
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.deflated import holds_more
from seglight.images.file_in_memory import AnyFile, FileInMemory, openable
from seglight.images.image_header import MOST_PIXELS, blamed, refuse, unread
from seglight.images.tiff_pages import page_of, tiff_pages

LARGE = 1 << 25
"""Number of pixels beyond which a page is read by windows: as RGB it takes 100 MB, and a net needs many times that."""

CACHE_BYTES = 1 << 26
"""Largest number of bytes of decoded strips and tiles that are kept."""

DEFLATE, LZMA = (8, 32946), 34925
"""Compressions that tifffile decodes by Python's own modules without imagecodecs: they fill any memory."""


class PageSamples:
    """The samples of a page as they are stored, of any type and number, decoded by windows.

    Args:
        file: The file.
        page: Index of the page.
        cache_bytes: Largest number of bytes of decoded strips and tiles that are kept, at least one of them; 0: none.

    Attributes:
        shape: Height and width as stored.

    Raises:
        UserError: The page is damaged, or can't be read by windows.
    """

    def __init__(self, file: AnyFile, page: int, cache_bytes: int = CACHE_BYTES) -> None:
        import tifffile  # here: most images are not TIFFs

        self.file = file
        with (
            blamed(file),
            tifffile.TiffFile(openable(file), name=None if isinstance(file, Path) else file.name) as tiff,
        ):
            self.page = tiff.pages[page].aspage()
            self.facts = page_of(self.page)
            self.colormap = self.page.colormap
            self._check()
            self.shape = (self.page.imagelength, self.page.imagewidth)
            rows = min(self.page.rowsperstrip, self.shape[0])
            self.part = (self.page.tilelength, self.page.tilewidth) if self.page.is_tiled else (rows, self.shape[1])
            self.segments = list(zip(self.page.dataoffsets, self.page.databytecounts, strict=True))
            self.colors = tifffile.PHOTOMETRIC(self.page.photometric).name
            if self.page.compression == tifffile.COMPRESSION.JPEG:
                _ = self.page.is_jfif  # kept: it looks into the file, which is closed when parts are decoded
                self.colors = "RGB" if self.colors == "YCBCR" else self.colors  # as they are decoded
            self.jpegtables = self.page.jpegtables
            self._check_samples()
            self.separate = self.page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
            self.mapped: NDArray[Any] | None = None
            if isinstance(file, Path) and self.page.is_memmappable and not self.separate:
                self.mapped = tifffile.memmap(file, page=page, mode="r").reshape(*self.shape, -1)
            self.dtype = np.dtype(self.page.dtype)
            self.channels, self.kept = self._kept()
            self.part_bytes = self.part[0] * self.part[1] * self.page.samplesperpixel * self.dtype.itemsize
            if self.mapped is None:
                check_part(file, self.part)
            part_kept = self.part[0] * self.part[1] * self.channels * self.kept.itemsize
            self.decoded = lru_cache(max(1, cache_bytes // part_kept) if cache_bytes else 0)(self._decode)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Decode a window of the page (h, w, samples).

        Raises:
            UserError: The page is damaged there.
        """
        if self.mapped is not None:
            return self._converted(np.array(self.mapped[rows, columns]))
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.channels), self.kept)
        height, width = self.part
        down, across = range(rows.start // height * height, rows.stop, height), range(0, columns.stop, width)
        for y, x in product(down, across[columns.start // width :]):
            top, left = max(y, rows.start), max(x, columns.start)
            bottom, right = min(y + height, rows.stop), min(x + width, columns.stop)
            with blamed(self.file):
                part = self.decoded(y // height, x // width)[top - y : bottom - y, left - x : right - x]
                window[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part
        return window

    def _check(self) -> None:
        """Refuse a page by its tags."""

    def _check_samples(self) -> None:
        """Refuse a page by its samples."""

    def _converted(self, samples: NDArray[Any]) -> NDArray[Any]:
        return samples

    def _kept(self) -> tuple[int, np.dtype[Any]]:
        """Number and type of the values of a pixel that are kept."""
        return self.page.samplesperpixel, self.dtype

    def _decode(self, row: int, column: int) -> NDArray[Any]:
        """Decode a strip or tile (h, w, samples)."""
        down, across = (-(-whole // part) for whole, part in zip(self.shape, self.part, strict=True))
        planes = range(self.page.samplesperpixel if self.separate else 1)
        samples = [self._segment((plane * down + row) * across + column) for plane in planes]
        height, width = self.shape[0] - row * self.part[0], self.shape[1] - column * self.part[1]
        return self._converted(np.concatenate(samples, axis=2)[:height, :width])  # without the padding of the last tile

    def _segment(self, index: int) -> NDArray[Any]:
        offset, length = self.segments[index]
        data = self._bytes(offset, length) or None  # of no length: not stored
        if data is not None:
            self._check_decoded(data)
        samples, _, shape = self.page.decode(data, index, jpegtables=self.jpegtables)
        return np.full(shape[1:], self._sparse(), self.page.dtype) if samples is None else np.asarray(samples[0])

    def _bytes(self, offset: int, length: int) -> bytes:
        if isinstance(self.file, FileInMemory):
            return self.file.data[offset : offset + length]
        with self.file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)

    def _sparse(self) -> float:
        """Value of a strip or tile that is not stored."""
        return 0

    def _check_decoded(self, data: bytes) -> None:
        """Refuse a strip or tile that is decoded to more than twice its pixels: some programs write a little more."""
        compression, most = int(self.page.compression), 2 * self.part_bytes
        is_longer = compression in DEFLATE and holds_more(data, most)
        if compression == LZMA:
            is_longer = len(lzma.LZMADecompressor().decompress(data, most + 1)) > most
        if is_longer:
            raise ValueError("a strip or tile is decoded to more than its pixels")


class TiffWindows(PageSamples):
    """A page that is decoded by windows: 8-bit samples in grey, RGB or palette colours, none transparent.

    Args:
        path: Path of the file.
        page: Index of the page.

    Attributes:
        shape: Height and width.

    Raises:
        UserError: The page is damaged, or can't be read by windows.
        UnreadImageError: It has more than 8-bit RGB can hold.
    """

    def __init__(self, path: Path, page: int) -> None:
        super().__init__(path, page)
        self.path = path

    def __reduce__(self) -> tuple[type, tuple[AnyFile, int]]:
        return type(self), (self.file, self.page.index)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Decode a window of the page: uint8 (h, w, 3) RGB.

        Raises:
            UserError: The page is damaged there.
        """
        return super().read(rows, columns)

    def _check(self) -> None:
        refuse(self.file, self.facts.unread)

    def _check_samples(self) -> None:
        if self.page.dtype != np.uint8 or self.colors not in ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE"):
            raise UserError(
                f"{self.file}: samples of {self.colors}, which are not read by windows: save it as 8-bit RGB or grey"
            )
        if self.facts.orientation != 1:
            raise UserError(f"{self.file}: a tag turns it, which windows do not support: save it upright")

    def _kept(self) -> tuple[int, np.dtype[Any]]:
        return 3, np.dtype(np.uint8)

    def _converted(self, samples: NDArray[Any]) -> NDArray[Any]:
        if self.facts.alpha and samples[..., -1].min(initial=255) < 255:
            raise unread(self.file, "transparent", "pixels whose alpha is below 255: transparent, or another band")
        if self.colors == "RGB":
            return np.asarray(samples[..., :3])
        if self.colormap is not None:
            return np.asarray(np.asarray(self.colormap.T >> 8, np.uint8)[samples[..., 0]])
        return np.repeat(255 - samples[..., :1] if self.colors == "MINISWHITE" else samples[..., :1], 3, axis=2)


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


def pages(path: Path) -> dict[int, int]:
    """Index and number of pixels of every page that is an image, not a reduced copy or a mask.

    Raises:
        UserError: The file is damaged.
        UnreadImageError: Its pages are the channels of one image.
    """
    with blamed(path):
        found = tiff_pages(path)
    if found.parts:
        raise unread(path, "pages", found.parts)
    return {page.number: page.size[0] * page.size[1] for page in found.pages}
