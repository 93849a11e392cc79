"""Consistency of label maps: how many pixels keep their label when an image is mirrored, shifted or resized."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.images.types import LabelMap

SHIFTS = (1, 2, 4, 8, 16)
"""Rows and columns that are cut off above and on the left: parts of the stride of 32 that most encoders have."""

SCALES = (0.5, 0.75, 1.25, 1.5)
"""Factors of height and width."""

SETTINGS = (("flip", "horizontal"), *(("shift", str(k)) for k in SHIFTS), *(("scale", str(k)) for k in SCALES))
"""What is done to an image, and how much of it."""

Labels = Callable[[NDArray[np.uint8]], LabelMap]
"""Gives the label map (H, W) of an image uint8 (H, W, C)."""


def consistency(labels: Labels, image: NDArray[np.uint8], original: LabelMap) -> NDArray[np.int64]:
    """Count pixels whose label stays when the image is changed; the labels are moved back before they are compared.

    A mirrored image is mirrored back. A shifted image lacks its first rows and columns, so that no pixel is invented:
    the others are compared. The labels of a resized image are read at the nearest pixel of each original one. All
    pixels count, labelled or not.

    Args:
        labels: Predicts the label map of an image.
        image: uint8 (H, W, C).
        original: Predicted labels (H, W) of the image itself.

    Returns:
        (settings, 2): for each of `SETTINGS`, the number of pixels with the same label, and of all that are compared; a
        shift that leaves nothing of the image compares none.
    """
    pairs = list(_compared(labels, image, original))
    return np.array([[np.count_nonzero(a == b), a.size] for a, b in pairs], np.int64)


def _compared(labels: Labels, image: NDArray[np.uint8], original: LabelMap) -> Iterator[tuple[LabelMap, LabelMap]]:
    height, width = original.shape
    # of images of one column, ascontiguousarray keeps the negative stride, which torch does not take
    yield labels(image[:, ::-1].copy())[:, ::-1], original
    for shift in SHIFTS:
        rest = original[shift:, shift:]
        yield labels(image[shift:, shift:].copy()) if rest.size else rest, rest
    for scale in SCALES:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        found = labels(resized(image, size))
        rows, columns = (_nearest(length, side) for length, side in zip((height, width), size, strict=True))
        yield found[rows[:, None], columns], original


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Image (H, W, C) at another height and width: the mean of areas where it shrinks, else bilinear."""
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    result = cv2.resize(image, (size[1], size[0]), interpolation=interpolation)
    return result.astype(np.uint8, copy=False).reshape(*size, image.shape[2])


def _nearest(length: int, side: int) -> NDArray[np.intp]:
    """Index of the pixel of a side that holds the centre of each of `length` pixels."""
    return (2 * np.arange(length) + 1) * side // (2 * length)
