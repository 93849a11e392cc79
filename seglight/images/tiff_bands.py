"""Bands of a TIFF, which are samples of its pages, as a whole and by windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.exif import turned
from seglight.images.file_in_memory import AnyFile
from seglight.images.holding import Holding
from seglight.images.image_header import MOST_PIXELS
from seglight.images.tiff import CACHE_BYTES, PageSamples


class TiffBands:
    """The bands of a TIFF by windows: the samples of its pages one after another, in the file's type.

    Args:
        file: The file.
        held: What it holds.
        cache_bytes: Largest number of bytes of decoded strips and tiles that are kept.

    Attributes:
        shape: Height and width.

    Raises:
        UserError: The file is damaged, or can't be read by windows.
    """

    def __init__(self, file: AnyFile, held: Holding, cache_bytes: int = CACHE_BYTES) -> None:
        fill = held.nodata if held.nodata is not None else 0.0
        share = cache_bytes // len(held.planes)
        self.file = file
        self.held = held
        self.cache_bytes = cache_bytes
        self.pages = [_Samples(file, page, share, fill) for page in held.planes]
        self.shape = self.pages[0].shape
        self.orientation = self.pages[0].facts.orientation

    def __reduce__(self) -> tuple[type, tuple[AnyFile, Holding, int]]:
        return type(self), (self.file, self.held, self.cache_bytes)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Decode a window as stored: (h, w, bands).

        Raises:
            UserError: The file is damaged there.
        """
        if len(self.pages) == 1:
            return self.pages[0].read(rows, columns)
        return np.concatenate([page.read(rows, columns) for page in self.pages], axis=2)


def tiff_bands(file: AnyFile, held: Holding) -> NDArray[Any]:
    """Decode all bands (H, W, bands), with the orientation of the file applied.

    Raises:
        UserError: The file is damaged, or has so many pixels that it can only be an attack.
    """
    found = TiffBands(file, held, cache_bytes=0)  # a cache would live until the garbage collector runs
    height, width = found.shape
    if height * width > MOST_PIXELS:
        raise UserError(f"{file}: {height} x {width} pixels, which are read by windows only")
    return turned(found.read(slice(0, height), slice(0, width)), found.orientation)


class _Samples(PageSamples):
    """Samples of a page in the machine's byte order; those of less than 8 bits fill them: 0 and 1 are 0 and 255.

    Args:
        file: The file.
        page: Index of the page.
        cache_bytes: Largest number of bytes of decoded strips and tiles that are kept.
        fill: Value of strips and tiles that are not stored.
    """

    def __init__(self, file: AnyFile, page: int, cache_bytes: int, fill: float) -> None:
        self.fill = fill
        super().__init__(file, page, cache_bytes)

    def _kept(self) -> tuple[int, np.dtype[Any]]:
        kept = np.dtype(np.uint8) if self.dtype.kind == "b" else self.dtype.newbyteorder("=")
        return self.page.samplesperpixel, kept

    def _converted(self, samples: NDArray[Any]) -> NDArray[Any]:
        samples = samples.astype(self.kept, copy=False)
        return samples * np.uint8(255 // (2**self.facts.bits - 1)) if self.facts.bits < 8 else samples

    def _sparse(self) -> float:
        return self.fill
