"""Bilinear interpolation between pixel centres, as of `scipy.ndimage` with order 1, by whole rows and columns."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", NDArray[np.float32], NDArray[np.float64])


def zoomed(values: Values, factor: float, size: tuple[int, int] | None = None) -> Values:
    """Enlarge the middle of an image to at least the image's size.

    The outer pixel centres of the middle stay the outer ones, as with `scipy.ndimage.zoom`.

    Args:
        values: (H, W) or (H, W, C).
        factor: Factor of at least 1.
        size: Height and width that the result is cut to, below and right; None: it is not cut, and may be larger than
            the image.
    """
    for axis in (0, 1):
        length = values.shape[axis]
        inner = math.ceil(length / factor)
        whole = round(inner * factor)
        step = (inner - 1) / (whole - 1) if whole > 1 else 1.0
        place = np.arange(whole if size is None else min(whole, size[axis])) * step
        below = np.minimum(place.astype(np.intp), inner - 1)
        above = np.minimum(below + 1, inner - 1)
        shape = [1] * values.ndim
        shape[axis] = len(place)
        share = (place - below).astype(values.dtype).reshape(shape)
        first = (length - inner) // 2
        values = _between(values.take(first + below, axis), values.take(first + above, axis), share)
    return values


def displaced(
    image: NDArray[np.float32], down: NDArray[np.float32], across: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Read an image at other places, mirrored beyond its borders (d c b a | a b c d | d c b a).

    Args:
        image: (H, W, C).
        down: Distance (H, W) in pixels from each pixel to the place that it is read from, along the height.
        across: The same along the width.
    """
    height, width, bands = image.shape
    y = np.arange(height)[:, None] + down.astype(np.float64)
    x = np.arange(width) + across.astype(np.float64)
    top, left = np.floor(y), np.floor(x)
    low, high = (_mirrored(top.astype(np.intp) + k, height) * width for k in (0, 1))
    near, far = (_mirrored(left.astype(np.intp) + k, width) for k in (0, 1))
    flat = image.reshape(-1, bands)
    share = (x - left).astype(np.float32)[..., None]
    rows = [_between(flat[row + near], flat[row + far], share) for row in (low, high)]
    return _between(rows[0], rows[1], (y - top).astype(np.float32)[..., None])


def _between(a: Values, b: Values, share: Values) -> Values:
    """`a + share * (b - a)`, which is exactly `a` where both are equal; overwrites `b`."""
    b -= a
    b *= share
    b += a
    return b


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)
