"""Types of label maps by the number of their classes. Imports no torch."""

from typing import Any

import numpy as np

IGNORE_INDEX = 255
"""Value of ignored pixels in label maps of bytes."""

WIDE_IGNORE_INDEX = 65535
"""Value of ignored pixels in label maps of more classes than bytes have values for."""

MOST_CLASSES = 4096
"""Largest number of classes: the confusion matrix then takes 134 MB, and grows with the square of it."""


def ignore_index_of(num_classes: int) -> int:
    """Value of ignored pixels in label maps: 255, or 65535 for more than 255 classes."""
    return IGNORE_INDEX if num_classes <= IGNORE_INDEX else WIDE_IGNORE_INDEX


def label_type(num_classes: int) -> np.dtype[Any]:
    """NumPy's type of label maps: uint8, or uint16 for more than 255 classes. Its largest value means ignored."""
    return np.dtype(np.uint8 if num_classes <= IGNORE_INDEX else np.uint16)


def ignored_value(dtype: np.dtype[Any]) -> int:
    """Value of ignored pixels in label maps of a type: 65535 in uint16, otherwise 255."""
    return WIDE_IGNORE_INDEX if dtype == np.uint16 else IGNORE_INDEX
