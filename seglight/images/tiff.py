"""8-bit TIFF: the pages of a file, and windows of a page that is too large to be decoded whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.image_header import blamed, refuse, unread
from seglight.images.page_samples import PageSamples, cache_for, opened_tiff, stored
from seglight.images.tiff_pages import Page, page_of, tiff_pages

if TYPE_CHECKING:
    import tifffile

LARGE = 1 << 25
"""Number of pixels beyond which a page is read by windows: as RGB it takes 100 MB, and a net needs many times that."""

CACHE_BYTES = 1 << 26
"""Largest number of bytes of decoded strips and tiles that are kept, unless one is larger."""


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
        self.path = path
        self.number = page
        with opened_tiff(path) as tiff:
            read = tiff.pages[page].aspage()
            self.facts = page_of(read)
            refuse(path, self.facts.unread)
            self.colors = _colors(path, read, self.facts)
            self.colormap = read.colormap
            self.samples = PageSamples(path, read, stored(path), cache_for([read], CACHE_BYTES))
        self.shape = self.samples.shape[:2]

    def __reduce__(self) -> tuple[type, tuple[Path, int]]:
        return type(self), (self.path, self.number)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Decode a window of the page: uint8 (h, w, 3) RGB.

        Raises:
            UserError: The page is damaged there.
            UnreadImageError: A pixel is transparent there.
        """
        samples: NDArray[Any] = self.samples.read(rows, columns)
        if self.facts.alpha and samples[..., -1].min(initial=255) < 255:
            raise unread(self.path, "transparent", "pixels whose alpha is below 255: transparent, or another band")
        if self.colors == "RGB":
            return np.ascontiguousarray(samples[..., :3])
        if self.colors == "PALETTE" and self.colormap is not None:
            return np.asarray(np.asarray(self.colormap.T >> 8, np.uint8)[samples[..., 0]])
        return np.repeat(255 - samples[..., :1] if self.colors == "MINISWHITE" else samples[..., :1], 3, axis=2)


def _colors(path: Path, page: "tifffile.TiffPage", facts: Page) -> str:
    """Photometric interpretation of the samples once they are decoded.

    Raises:
        UserError: They are not read by windows.
    """
    import tifffile

    colors = tifffile.PHOTOMETRIC(page.photometric).name
    if page.compression == tifffile.COMPRESSION.JPEG and colors == "YCBCR":
        colors = "RGB"
    if page.dtype != np.uint8 or colors not in ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE"):
        raise UserError(f"{path}: samples of {colors}, which are not read by windows: save it as 8-bit RGB or grey")
    if facts.orientation != 1:
        raise UserError(f"{path}: a tag turns it, which windows do not support: save it upright")
    return colors


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
