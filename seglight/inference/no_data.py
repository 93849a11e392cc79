"""Pixels without data in label maps and probabilities. Imports no torch, which exported nets do not need.

A pixel that has data in no band belongs to no class: its label is the ignored value of the masks, and its
probabilities are 0 in every class.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.checkpoints.model_card import ModelCard
from seglight.images.bands import Bands
from seglight.images.types import LabelMap, Windows

BLOCK = 1 << 20
"""Number of values that are compared at a time."""


def no_data_label(num_classes: int, ignore_index: int, dtype: "np.dtype[Any]") -> int:
    """Label of pixels without data: in bytes `ignore_index`, or 255 where that is a class; in other types 65535.

    Args:
        num_classes: Number of classes.
        ignore_index: Ignored value of the masks.
        dtype: Type of the label map.
    """
    if dtype.itemsize == 1:
        return ignore_index if num_classes <= ignore_index <= 255 else 255
    return min(65535, int(np.iinfo(dtype).max))


def without_classes(labels: LabelMap, image: NDArray[Any], card: ModelCard) -> LabelMap:
    """A label map (H, W) in which pixels of its image (H, W, bands) without data have the label of no class.

    The label map itself is returned where every value is data, as in 8-bit RGB.
    """
    bands = card.pixels
    return _marked(labels, empty_pixels(image, bands), card) if bands.has_nodata else labels


def without_probabilities(probabilities: NDArray[np.float32], image: NDArray[Any], bands: Bands) -> NDArray[np.float32]:
    """Probabilities (C, H, W) that are 0 at pixels of their image (H, W, bands) without data."""
    if bands.has_nodata and (empty := empty_pixels(image, bands)).any():
        return np.where(empty, np.float32(0), probabilities)
    return probabilities


def mark_bytes(bands: Bands) -> int:
    """Bytes of a pixel for marks of no data: of the rows read last and the ones before, and a copy; 0 without any."""
    return 3 if bands.has_nodata else 0


def empty_pixels(image: NDArray[Any], bands: Bands) -> NDArray[np.bool_]:
    """Pixels (H, W) without data, found a few rows at a time: what is compared takes as much memory as the image."""
    height, width = image.shape[:2]
    step = max(1, BLOCK // (width * image.shape[2]))
    empty = np.empty((height, width), np.bool_)
    for top in range(0, height, step):
        empty[top : top + step] = bands.without_data(image[top : top + step])
    return empty


def _marked(labels: LabelMap, empty: NDArray[np.bool_], card: ModelCard) -> LabelMap:
    if not empty.any():
        return labels
    value = no_data_label(card.num_classes, card.ignore_index, labels.dtype)
    found: LabelMap = np.where(empty, labels.dtype.type(value), labels)
    return found


class NoDataRows:
    """An image that is read by windows, and which of its pixels have no data.

    The rows that were read last are remembered, so that no row is read a second time for its labels.

    Args:
        image: Image that is read by windows from top to bottom.
        card: Model card of the net.

    Attributes:
        shape: Size (H, W) of the image.
    """

    def __init__(self, image: Windows, card: ModelCard) -> None:
        self.shape = image.shape
        self._image = image
        self._card = card
        self._kept: dict[int, NDArray[np.bool_]] = {}

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels (h, w, bands) of a window."""
        found = self._image.read(rows, columns)
        if self._card.pixels.has_nodata and columns.indices(self.shape[1]) == (0, self.shape[1], 1):
            self._kept.update(zip(range(rows.start, rows.stop), empty_pixels(found, self._card.pixels), strict=False))
        return found

    def marked(self, labels: Iterator[LabelMap]) -> Iterator[LabelMap]:
        """Label rows (h, W) of the image, from the top, with the label of no class where there is no data."""
        top = 0
        for band in labels:
            yield self._of_rows(top, band) if self._card.pixels.has_nodata else band
            top += len(band)
            self._kept = {row: empty for row, empty in self._kept.items() if row >= top}

    def _of_rows(self, top: int, labels: LabelMap) -> LabelMap:
        rows = range(top, top + len(labels))
        if any(row not in self._kept for row in rows):  # an inferer that reads parts of rows
            self.read(slice(rows.start, rows.stop), slice(0, self.shape[1]))
        return _marked(labels, np.stack([self._kept[row] for row in rows]), self._card)
