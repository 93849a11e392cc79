"""Intersection over union and recall by the size of objects: small objects are lost first, and hardly change a mean.

An object is an 8-connected component of a class in the label map, and its size is its area in pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from seglight.images.opencv import single_threaded_opencv
from seglight.metrics.boundary import label_maps

EDGES = (32**2, 96**2)
"""Areas in pixels between small, medium and large objects, as in COCO."""

DEFINITION = (
    "objects are the 8-connected components of each class in the label map, without ignored pixels, by their area in "
    "pixels; found and missed pixels of an object count in its bin; a wrongly predicted pixel counts in the bin of the "
    "object of its class that its predicted component overlaps most, or else in that of the component's own area; "
    "means over the classes of a bin"
)
"""What the scores are, in one sentence."""

COUNTS = ("objects", "found", "missed", "wrong")
"""States of the metric."""


class SizeScores(NamedTuple):
    """Scores by class and bin of areas; NaN where there is nothing to divide by.

    Attributes:
        objects: (C, bins) int64, number of labelled objects.
        iou: (C, bins) float64, found / (found + missed + wrong).
        recall: (C, bins) float64, found / (found + missed).
    """

    objects: Tensor
    iou: Tensor
    recall: Tensor


class ObjectSizeIoU(Metric):
    """Intersection over union and recall of each class by the size of its objects, over the whole split.

    Each labelled pixel counts in the bin of its object, an 8-connected component of the label map. A pixel that is
    wrongly predicted as a class counts in the bin of that object of the class which its predicted component overlaps
    most (of several, the first in the order of rows), or in that of the component's own area if it overlaps none. Over
    all bins the counts therefore sum to those of the confusion matrix. Ignored pixels are of no component. Sizes by
    the areas of COCO (Lin et al., Microsoft COCO, ECCV 2014); the scores are computed from summed counts, as the mean
    IoU is.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        edges: Areas in pixels between the bins; an area equal to an edge belongs to the upper bin.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    objects: Tensor
    found: Tensor
    missed: Tensor
    wrong: Tensor

    def __init__(self, num_classes: int, ignore_index: int, edges: Sequence[int] = EDGES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignored = ignore_index
        self.edges = tuple(edges)
        for state in COUNTS:
            counts = torch.zeros((num_classes, len(self.edges) + 1), dtype=torch.int64)
            self.add_state(state, counts, dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch of images of one size; components are found on the CPU.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
        """
        maps = label_maps(preds, target, self.num_classes, self.ignored)
        found = np.zeros((len(COUNTS), self.num_classes, len(self.edges) + 1), np.int64)
        with single_threaded_opencv():
            for pred, true in zip(*(labels.cpu().numpy() for labels in maps), strict=True):
                for label in np.union1d(np.unique(pred), np.unique(true)).tolist():
                    if label >= 0:
                        found[:, label] += _counts(pred == label, true == label, self.edges)
        for state, counts in zip(
            (self.objects, self.found, self.missed, self.wrong), torch.from_numpy(found), strict=True
        ):
            state += counts.to(state.device)

    def compute(self) -> SizeScores:
        """Scores of each class and bin."""
        there = self.found + self.missed
        return SizeScores(self.objects.clone(), self.found.double() / (there + self.wrong), self.found.double() / there)


def _counts(pred: NDArray[np.bool_], true: NDArray[np.bool_], edges: Sequence[int]) -> NDArray[np.int64]:
    """Counts of one class in one image, (4, bins), in the order of `COUNTS`."""
    objects, areas = _components(true)
    guesses, guessed_areas = _components(pred)
    bins = len(edges) + 1
    bin_of = np.searchsorted(edges, areas, side="right")
    found = np.bincount(objects[pred & true], minlength=len(areas) + 1)[1:]
    wrong = np.bincount(guesses[pred & ~true], minlength=len(guessed_areas) + 1)[1:]
    wrong_bin = np.searchsorted(edges, guessed_areas, side="right")
    guess, of = _largest_overlaps(guesses[pred & true], objects[pred & true], len(areas))
    wrong_bin[guess] = bin_of[of]
    weights = (np.ones(len(areas), np.int64), found, areas - found)
    sums = [_by_bin(bin_of, values, bins) for values in weights]
    return np.stack([*sums, _by_bin(wrong_bin, wrong, bins)])


def _components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The 8-connected components of a mask: their numbers from 1, 0 elsewhere (H, W), and their areas (n,)."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return numbers, stats[1:, cv2.CC_STAT_AREA].astype(np.int64)  # type: ignore[return-value] # of the type asked for


def _largest_overlaps(
    guesses: NDArray[np.int32], objects: NDArray[np.int32], number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of each predicted component that overlaps an object, and of the object that it overlaps most.

    Args:
        guesses: Number of the predicted component at each right pixel, from 1.
        objects: Number of the object at each right pixel, from 1.
        number: Number of objects.
    """
    pairs, overlap = np.unique(guesses.astype(np.int64) * (number + 1) + objects, return_counts=True)
    guess, of = np.divmod(pairs, number + 1)
    order = np.lexsort((of, -overlap, guess))  # the largest overlap of each component comes first
    found, first = np.unique(guess[order], return_index=True)
    return found - 1, of[order][first] - 1


def _by_bin(bin_of: NDArray[np.int64], values: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    total = np.zeros(bins, np.int64)
    np.add.at(total, bin_of, values)
    return total
