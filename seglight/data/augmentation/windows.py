"""Windows of an image: the position of a crop, and the crop itself."""

import mmap
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.missing import MOST_CHANNELS, resized, resized_valid
from seglight.images.bands import Bands


class Window(NamedTuple):
    """A rectangle in pixels of the image; it reaches beyond an image that is smaller than the crop."""

    top: int
    left: int
    height: int
    width: int

    def inside(self, size: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns of an image of a size that lie in the window."""
        rows = slice(max(self.top, 0), min(self.top + self.height, size[0]))
        return rows, slice(max(self.left, 0), min(self.left + self.width, size[1]))


def draw_window(
    rng: np.random.Generator,
    size: tuple[int, ...],
    crop: tuple[int, int],
    scale: tuple[float, float],
    anchor: tuple[int, int] | None = None,
) -> Window:
    """Draw a window of an image of `size` (H, W) that, scaled to `crop`, is a random crop of the randomly scaled image.

    If the scaled image is smaller than the crop, its position within the crop is random. The window contains the pixel
    `anchor` (y, x), if there is one.
    """
    factor = rng.uniform(*scale)
    sides = [max(1, round(length / factor)) for length in crop]
    corner = []
    for axis, (side, whole) in enumerate(zip(sides, size, strict=False)):
        low, high = min(0, whole - side), max(0, whole - side)
        if anchor is not None:
            low, high = max(low, anchor[axis] - side + 1), min(high, anchor[axis])
        corner.append(int(rng.integers(low, high + 1)))
    return Window(corner[0], corner[1], sides[0], sides[1])


def cut(
    pixels: NDArray[Any],
    window: Window,
    crop: tuple[int, int],
    interpolation: int,
    padding: float | Sequence[float],
    bands: Bands | None = None,
) -> NDArray[Any]:
    """Cut a window of (H, W) or (H, W, channels) and scale it to `crop`; pixels beyond the image are `padding`.

    With `bands` that some values have no data in, these don't mix with others, and the interpolation is linear.
    """
    rows, columns = window.inside(pixels.shape)
    part = pixels[rows, columns]
    top, bottom = _scaled(rows, window.top, window.height, crop[0])
    left, right = _scaled(columns, window.left, window.width, crop[1])
    size = bottom - top, right - left
    if part.shape[:2] == size:
        scaled = np.array(part)
    elif bands is not None and bands.has_nodata:
        scaled = resized_valid(part, size, bands)
    else:
        scaled = resized(part, size, interpolation)
    if scaled.shape[:2] == crop:
        return scaled
    canvas = np.full((*crop, *pixels.shape[2:]), padding, pixels.dtype)
    canvas[top:bottom, left:right] = scaled
    return canvas


def flipped(pixels: NDArray[Any]) -> NDArray[Any]:
    """Mirror (H, W) or (H, W, channels) from left to right."""
    if pixels.ndim == 3 and pixels.shape[2] > MOST_CHANNELS:
        return np.ascontiguousarray(pixels[:, ::-1])
    return cv2.flip(pixels, 1).reshape(pixels.shape)  # OpenCV drops the axis of a single channel


def read_ahead(pixels: NDArray[Any]) -> None:
    """Request the part of a memory-mapped file with `pixels` at once: page faults would fetch it piece by piece."""
    base: Any = pixels
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):  # Windows has none
        first = pixels.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
        start = first - first % mmap.PAGESIZE
        base.madvise(mmap.MADV_WILLNEED, start, first + pixels.nbytes - start)


def _scaled(inside: slice, start: int, length: int, crop: int) -> tuple[int, int]:
    """Begin and end of the image's pixels in the crop: at least one pixel."""
    first = min(round((inside.start - start) * crop / length), crop - 1)
    return first, max(first + 1, round((inside.stop - start) * crop / length))
