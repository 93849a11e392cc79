"""Values that are no data: they do not mix with their neighbours, and no other value becomes one of them."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.images.bands import Bands
from seglight.ops.label_types import ignored_value

MOST_CHANNELS = 128
"""Largest number of channels that OpenCV 5 resizes and flips at once."""


def resized(pixels: NDArray[Any], size: tuple[int, int], interpolation: int) -> NDArray[Any]:
    """Resize (H, W) or (H, W, channels) to `size` (height, width) by OpenCV, for any number of channels."""
    target = size[1], size[0]
    if pixels.ndim == 3 and pixels.shape[2] > MOST_CHANNELS:
        starts = range(0, pixels.shape[2], MOST_CHANNELS)
        parts = [resized(pixels[..., start : start + MOST_CHANNELS], size, interpolation) for start in starts]
        return np.concatenate(parts, axis=2)
    scaled = cv2.resize(pixels, target, interpolation=interpolation)
    return scaled.reshape(*size, *pixels.shape[2:])  # OpenCV drops the axis of a single channel


def resized_valid(image: NDArray[Any], size: tuple[int, int], bands: Bands) -> NDArray[Any]:
    """Resize an image (H, W, bands) bilinearly to `size` (height, width) without what is no data.

    Values without data count as their band's mean. In the result, a value is no data where the nearest one was.
    """
    invalid = bands.invalid(image)
    some = bool(invalid.any())
    scaled = resized(filled(image, invalid, bands) if some else image, size, cv2.INTER_LINEAR)
    avoid_nodata(scaled, bands)
    if some:
        gone = resized(invalid.view(np.uint8), size, cv2.INTER_NEAREST_EXACT).view(np.bool_)
        np.copyto(scaled, marker(bands), where=gone)
    return scaled


def filled(image: NDArray[Any], invalid: NDArray[np.bool_], bands: Bands) -> NDArray[Any]:
    """A copy of an image (H, W, bands) with the mean of its band in place of each value that is no data."""
    return np.where(invalid, means(bands), image)


def means(bands: Bands) -> NDArray[Any]:
    """Mean of each band as it is stored, in the type of the pixels: (bands,)."""
    low, high = limits(bands)
    return np.asarray(bands.fill, np.float64).clip(low, high).astype(bands.dtype)


def marker(bands: Bands) -> NDArray[Any]:
    """The value that marks what is no data, in the type of the pixels, without axes; 0 where no value does."""
    return np.asarray(0 if bands.missing is None else bands.missing).astype(bands.dtype)


def limits(bands: Bands) -> tuple[float, float]:
    """Smallest and largest value that is data."""
    if bands.type == "float32":
        info: Any = np.finfo(np.float32)
        low, high = float(info.min), float(info.max)
    else:
        info = np.iinfo(bands.type)
        low, high = float(info.min), float(info.max)
    if bands.valid is not None:
        whole = bands.type != "float32"
        low = max(low, math.ceil(bands.valid[0]) if whole else bands.valid[0])
        high = min(high, math.floor(bands.valid[1]) if whole else bands.valid[1])
    return low, high


def avoid_nodata(image: NDArray[Any], bands: Bands) -> None:
    """Change values that have come to equal `nodata`, but are data, to the next value; in place."""
    if bands.nodata is None or math.isnan(bands.nodata):
        return
    value = np.asarray(bands.nodata).astype(bands.dtype)
    equal = image == value
    if not equal.any():
        return
    low, high = limits(bands)
    if bands.type == "float32":
        above, below = (np.nextafter(value, np.float32(end)) for end in (np.inf, -np.inf))
    else:
        above, below = int(value) + 1, int(value) - 1
    image[equal] = above if low <= above <= high else below


def without_missing(mask: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """A mask (H, W) in which pixels whose image has no data are ignored; the same array if there are none."""
    return np.where(missing, mask.dtype.type(ignored_value(mask.dtype)), mask) if missing.any() else mask
