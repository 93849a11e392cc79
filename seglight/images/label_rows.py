"""Label maps that are read a few rows at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seglight.images.geo import opened
from seglight.images.types import LabelMap

BAND = 1 << 20
"""Number of pixels that are read at a time."""

CACHE_BYTES = 1 << 26
"""Most bytes of blocks that GDAL keeps: without a limit, it takes a twentieth of the memory."""


class LabelRows(Protocol):
    """A label map.

    Attributes:
        shape: Its height and width.
        dtype: Type of its class indices.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time."""


class LabelsInMemory:
    """A label map in memory.

    Args:
        labels: Class indices (H, W).
    """

    def __init__(self, labels: LabelMap) -> None:
        self.shape = (labels.shape[0], labels.shape[1])
        self.dtype = labels.dtype
        self._labels = labels

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time."""
        step = max(1, BAND // self.shape[1])
        for top in range(0, self.shape[0], step):
            yield self._labels[top : top + step]


class StoredLabels:
    """A label map in an index PNG, read by GDAL: Pillow would decode the whole.

    Args:
        path: Path of the file.

    Raises:
        UserError: rasterio is not installed, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opened(path) as dataset:
            self.shape: tuple[int, int] = dataset.shape
            self.dtype = np.dtype(dataset.dtypes[0])

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time.

        Raises:
            UserError: The file is damaged.
        """
        from rasterio.windows import Window

        height, width = self.shape
        step = max(1, BAND // width)
        with opened(self.path) as dataset:
            for top in range(0, height, step):
                rows: NDArray[Any] = dataset.read(1, window=Window(0, top, width, min(step, height - top)))
                yield rows
