"""TIFF: the pages of a file, and windows of a page that is too large to be decoded whole."""

import lzma
import zlib
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.image_header import MOST_PIXELS, blamed, refuse, unread
from seglight.images.tiff_pages import page_of, tiff_pages

LARGE = 1 << 25
"""Number of pixels beyond which a page is read by windows: as RGB it takes 100 MB, and a net needs many times that."""

CACHE_BYTES = 1 << 26
"""Largest number of bytes of decoded strips and tiles that are kept."""

UNBOUNDED: dict[int, Callable[[], Any]] = {
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: lzma.LZMADecompressor,
}
"""Compressions that tifffile decodes by Python's own modules without imagecodecs: they fill any memory."""


class TiffWindows:
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
        import tifffile  # here: most images are not TIFFs

        self.path = path
        with blamed(path), tifffile.TiffFile(path) as file:
            self.page = file.pages[page].aspage()
            facts = page_of(self.page)
            refuse(path, facts.unread)
            self.shape = (self.page.imagelength, self.page.imagewidth)
            rows = min(self.page.rowsperstrip, self.shape[0])
            self.part = (self.page.tilelength, self.page.tilewidth) if self.page.is_tiled else (rows, self.shape[1])
            self.segments = list(zip(self.page.dataoffsets, self.page.databytecounts, strict=True))
            self.colors = tifffile.PHOTOMETRIC(self.page.photometric).name
            if self.page.compression == tifffile.COMPRESSION.JPEG:
                _ = self.page.is_jfif  # kept: it looks into the file, which is closed when parts are decoded
                self.colors = "RGB" if self.colors == "YCBCR" else self.colors  # as they are decoded
            self.colormap = self.page.colormap
            self.jpegtables = self.page.jpegtables
            if self.page.dtype != np.uint8 or self.colors not in ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE"):
                raise UserError(
                    f"{path}: samples of {self.colors}, which are not read by windows: save it as 8-bit RGB or grey"
                )
            if facts.orientation != 1:
                raise UserError(f"{path}: a tag turns it, which windows do not support: save it upright")
            self.alpha = facts.alpha
            self.separate = self.page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
            in_place = self.page.is_memmappable and not self.separate
            self.mapped = tifffile.memmap(path, page=page, mode="r").reshape(*self.shape, -1) if in_place else None
            self.part_bytes = self.part[0] * self.part[1] * self.page.samplesperpixel
            if self.mapped is None and self.part[0] * self.part[1] > MOST_PIXELS:
                raise UserError(
                    f"{path}: its strips or tiles have {self.part[0]}x{self.part[1]} pixels, and each is decoded as a "
                    "whole: save it in tiles"
                )
            self.decoded = lru_cache(max(1, CACHE_BYTES // (self.part[0] * self.part[1] * 3)))(self._decode)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Decode a window of the page: uint8 (h, w, 3) RGB.

        Raises:
            UserError: The page is damaged there.
        """
        if self.mapped is not None:
            return self._rgb(np.array(self.mapped[rows, columns]))
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
        height, width = self.part
        down, across = range(rows.start // height * height, rows.stop, height), range(0, columns.stop, width)
        for y, x in product(down, across[columns.start // width :]):
            top, left = max(y, rows.start), max(x, columns.start)
            bottom, right = min(y + height, rows.stop), min(x + width, columns.stop)
            with blamed(self.path):
                part = self.decoded(y // height, x // width)[top - y : bottom - y, left - x : right - x]
                window[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part
        return window

    def _decode(self, row: int, column: int) -> NDArray[np.uint8]:
        """Decode a strip or tile: uint8 (h, w, 3)."""
        down, across = (-(-whole // part) for whole, part in zip(self.shape, self.part, strict=True))
        planes = range(self.page.samplesperpixel if self.separate else 1)
        samples = [self._segment((plane * down + row) * across + column) for plane in planes]
        height, width = self.shape[0] - row * self.part[0], self.shape[1] - column * self.part[1]
        return self._rgb(np.concatenate(samples, axis=2)[:height, :width])  # without the padding of the last tile

    def _segment(self, index: int) -> NDArray[np.uint8]:
        offset, length = self.segments[index]
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        self._check_decoded(data)
        samples, _, shape = self.page.decode(data, index, jpegtables=self.jpegtables)
        return np.zeros(shape[1:], np.uint8) if samples is None else np.asarray(samples[0], np.uint8)

    def _check_decoded(self, data: bytes) -> None:
        """Refuse a strip or tile that is decoded to more than twice its pixels: some programs write a little more."""
        made = UNBOUNDED.get(int(self.page.compression))
        most = 2 * self.part_bytes
        if made is not None and len(made().decompress(data, most + 1)) > most:
            raise ValueError("a strip or tile is decoded to more than its pixels")

    def _rgb(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.alpha and samples[..., -1].min(initial=255) < 255:
            raise unread(self.path, "transparent", "pixels whose alpha is below 255: transparent, or another band")
        if self.colors == "RGB":
            return samples[..., :3]
        if self.colormap is not None:
            return np.asarray(self.colormap.T >> 8, np.uint8)[samples[..., 0]]
        return np.repeat(255 - samples[..., :1] if self.colors == "MINISWHITE" else samples[..., :1], 3, axis=2)


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
