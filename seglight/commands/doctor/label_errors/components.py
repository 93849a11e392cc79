"""Connected components of label maps."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray


class Components(NamedTuple):
    """Connected components of equal values; a pixel is connected to its eight neighbours.

    Attributes:
        numbers: Number of the component, from 1, of each pixel, int32 (H, W); 0: of none.
        areas: Pixels of each component, int64 (N + 1,), those of none first.
    """

    numbers: NDArray[np.int32]
    areas: NDArray[np.int64]


def components(values: NDArray[np.int64] | NDArray[np.uint8], inside: NDArray[np.bool_]) -> Components:
    """Find the components of the pixels of a map that are inside a mask.

    Args:
        values: (H, W).
        inside: (H, W).
    """
    numbers = np.zeros(values.shape, np.int32)
    found = 0
    for value in np.unique(values[inside]).tolist():
        own = inside & (values == value)
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        count, parts = cv2.connectedComponents(np.ascontiguousarray(own[window]).view(np.uint8), connectivity=8)
        np.add(parts, found, out=numbers[window], where=parts > 0)
        found += count - 1
    return Components(numbers, np.bincount(numbers.ravel(), minlength=found + 1))
