"""Bands of a TIFF, which are samples of its pages, as a whole and by windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.exif import turned
from seglight.images.file_in_memory import AnyFile
from seglight.images.holding import Holding
from seglight.images.image_header import MOST_PIXELS
from seglight.images.page_samples import PageSamples, cache_for, opened_tiff, stored
from seglight.images.tiff import CACHE_BYTES
from seglight.images.tiff_pages import page_of


class TiffBands:
    """The bands of a TIFF by windows: the samples of its pages one after another, in the file's type.

    Args:
        file: The file, which is opened once for all of its pages.
        held: What it holds.
        cache_bytes: Largest number of bytes of decoded strips and tiles that are kept, at least one of each page; 0:
            none.

    Attributes:
        shape: Height and width.

    Raises:
        UserError: The file is damaged, or can't be read by windows.
    """

    def __init__(self, file: AnyFile, held: Holding, cache_bytes: int = CACHE_BYTES) -> None:
        self.file = file
        self.held = held
        self.cache_bytes = cache_bytes
        fill = held.nodata if held.nodata is not None else 0.0
        with opened_tiff(file) as tiff:
            pages = [tiff.pages[number].aspage() for number in held.planes]
            self.orientation = page_of(pages[0]).orientation
            data, cache = stored(file), cache_for(pages, cache_bytes)
            self.pages = [PageSamples(file, page, data, cache, fill) for page in pages]
        self.shape = self.pages[0].shape[:2]

    def __reduce__(self) -> tuple[type, tuple[AnyFile, Holding, int]]:
        return type(self), (self.file, self.held, self.cache_bytes)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Decode a window as stored: (h, w, bands).

        Raises:
            UserError: The file is damaged there.
        """
        first = self.pages[0]
        size = (rows.stop - rows.start, columns.stop - columns.start)
        window = np.empty((*size, sum(page.shape[2] for page in self.pages)), first.dtype)
        band = 0
        for page in self.pages:
            page.read_into(window[..., band : band + page.shape[2]], rows, columns)
            band += page.shape[2]
        return window


def tiff_bands(file: AnyFile, held: Holding) -> NDArray[Any]:
    """Decode all bands (H, W, bands), with the orientation of the file applied.

    Raises:
        UserError: The file is damaged, or has so many pixels that it can only be an attack.
    """
    found = TiffBands(file, held, cache_bytes=0)  # each strip and tile is needed once
    height, width = found.shape
    if height * width > MOST_PIXELS:
        raise UserError(f"{file}: {height} x {width} pixels, which are read by windows only")
    return turned(found.read(slice(0, height), slice(0, width)), found.orientation)
