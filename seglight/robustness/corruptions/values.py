"""Conversions between bytes and [0, 1] that the corruptions share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image (H, W, 3), RGB."""

Floats = NDArray[np.floating[Any]]
"""Values in [0, 1] unless said otherwise."""

UNIT = np.arange(256) / 255
"""The value in [0, 1] of each byte, float64."""


def truncated(values: Floats) -> Pixels:
    """Bytes of values, which are clipped to [0, 1]; as in the published package, fractions are cut off, not rounded."""
    scaled = np.clip(values, 0, 1)
    scaled *= 255
    return scaled.astype(np.uint8)
