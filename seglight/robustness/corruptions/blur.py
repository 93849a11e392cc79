"""Blur: out of focus, through frosted glass, by motion, by zooming, and Gaussian."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from seglight.robustness.corruptions.resampling import zoomed
from seglight.robustness.corruptions.values import UNIT, Floats, Pixels, truncated

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
"""Radius of the disk in pixels, and standard deviation of the Gaussian that its edge is smoothed with."""

GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
"""Standard deviation of the blur before and after, largest displacement in pixels, number of rounds."""

MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
"""Radius of the path in pixels, and standard deviation of the weights along it."""

ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
"""End and step of the factors, which begin at 1."""

GAUSSIAN = (1, 2, 3, 4, 6)
"""Standard deviation in pixels."""

ROWS = 32
"""Rows of an image that are smeared together: few enough that they stay in the processor's cache."""


def smooth(values: Floats, sigma: float) -> Floats:
    """Gaussian blur of (H, W) or (H, W, 3), cut off at four standard deviations; borders are repeated."""
    blurred: Floats = gaussian_filter(values, (sigma, sigma, 0)[: values.ndim], mode="nearest", truncate=4.0)
    return blurred


def gaussian_blur(image: Pixels, severity: int) -> Pixels:
    """Blur by a Gaussian."""
    return truncated(smooth(UNIT[image], GAUSSIAN[severity - 1]))


def defocus_blur(image: Pixels, severity: int) -> Pixels:
    """Blur by a disk, the image of a point that is out of focus."""
    blurred: Floats = np.asarray(cv2.filter2D(UNIT[image], -1, _disk(*DEFOCUS[severity - 1])), np.float64)
    return truncated(blurred)


def _disk(radius: int, alias: float) -> NDArray[np.float32]:
    reach = max(8, radius)
    square = np.arange(-reach, reach + 1) ** 2
    disk = (square[:, None] + square <= radius**2).astype(np.float32)
    disk /= disk.sum()
    side = 3 if radius <= 8 else 5
    return np.asarray(cv2.GaussianBlur(disk, (side, side), alias), np.float32)


def glass_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Blur, replace pixels by others nearby, and blur again."""
    sigma, reach, rounds = GLASS[severity - 1]
    pixels = (smooth(UNIT[image], sigma) * 255).astype(np.uint8)
    rows, columns = (max(0, side - 2 * reach) for side in image.shape[:2])
    for _ in range(rounds):
        pixels = scattered(pixels, rng.integers(-reach, reach, size=(rows, columns, 2)), reach)
    return truncated(smooth(UNIT[pixels], sigma))


def scattered(image: Pixels, offsets: NDArray[np.integer], reach: int) -> Pixels:
    """One round of glass blur.

    The published package visits the pixels from the lower right to the upper left, and assigns `image[y, x],
    image[y + dy, x + dx] = image[y + dy, x + dx], image[y, x]`. The right side consists of views, so that this is no
    swap: the pixel becomes a copy of the other one, which may have been visited before and be a copy itself. So a pixel
    ends with the colour at the end of a chain of pixels. All chains are followed at the same time, in steps that
    double: the result is that of the loop, exactly.

    Args:
        image: (H, W, 3).
        offsets: Offsets (dx, dy), from -reach to reach - 1, of the pixels in the order of their visits: (rows, columns,
            2) for the inner pixels, from the lower right one.
        reach: Largest offset.
    """
    height, width = image.shape[:2]
    rows, columns = offsets.shape[:2]
    inner = slice(reach + 1, reach + 1 + rows), slice(reach + 1, reach + 1 + columns)
    own = np.arange(height * width)
    visited = np.zeros(height * width, bool)
    visited.reshape(height, width)[inner] = True
    source = own.copy()
    source.reshape(height, width)[inner] += offsets[::-1, ::-1, 1] * width + offsets[::-1, ::-1, 0]
    linked = visited & visited[source] & (source > own)  # the source had been visited: the chain continues there
    while len(chains := np.flatnonzero(linked)):
        following = source[chains]
        source[chains] = source[following]
        linked[chains] = linked[following]
    return image.reshape(-1, 3)[source].reshape(image.shape)


def motion_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Blur along a line in a random direction."""
    radius, sigma = MOTION[severity - 1]
    return np.clip(smeared(image, radius, sigma, rng.uniform(-45, 45)), 0, 255).astype(np.uint8)


def smeared(values: NDArray[np.generic], radius: int, sigma: float, angle: float) -> NDArray[np.float64]:
    """Weighted mean along a line that begins at each pixel; borders are repeated.

    Args:
        values: (H, W) or (H, W, 3).
        radius: Half the length of the line in pixels.
        sigma: Standard deviation of the weights, half a Gaussian.
        angle: Direction of the line in degrees.
    """
    step = np.arange(2 * radius + 1)
    weights = np.exp(-(step**2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)
    weights /= weights.sum()
    end = [len(step) * part(np.deg2rad(angle)) for part in (np.sin, np.cos)]
    down, across = (np.ceil(step * part / math.hypot(*end) - 0.5).astype(int) for part in end)
    top, left = (max(0, -int(part.min())) for part in (down, across))
    bottom, right = (max(0, int(part.max())) for part in (down, across))
    borders = ((top, bottom), (left, right), (0, 0))[: values.ndim]
    padded = np.pad(values.astype(np.float64), borders, mode="edge")
    height, width = values.shape[:2]
    blurred = np.zeros(values.shape)
    for first in range(0, height, ROWS):
        band = blurred[first : first + ROWS]
        term = np.empty_like(band)
        for weight, dy, dx in zip(weights, top + first + down, left + across, strict=True):
            band += np.multiply(padded[dy : dy + len(band), dx : dx + width], weight, out=term)
    return blurred


def zoom_blur(image: Pixels, severity: int) -> Pixels:
    """Mean of the image at several zooms."""
    values = UNIT[image].astype(np.float32)
    factors = np.arange(1, *ZOOM[severity - 1])
    total = np.zeros_like(values)
    for factor in factors:
        total += zoomed(values, factor, (image.shape[0], image.shape[1]))
    return truncated((values + total) / (len(factors) + 1))
