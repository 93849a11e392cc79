"""Matches of detected masks with labelled ones, and the average precision of many images, as pycocotools computes them.

Lin et al., Microsoft COCO: Common Objects in Context (ECCV 2014), and cocodataset.org/#detection-eval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.ops.iou import Counts

Values = NDArray[np.float64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoUs from which a detection is right."""

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which precision is read."""

RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
"""Smallest and largest area in pixels of all, small, medium and large instances."""

LIMITS = (1, 10, 100)
"""Numbers of detections of a class in an image for which recall is reported; the last is that of the precision."""

CELLS = len(THRESHOLDS) * len(RANGES)
BITS = 1 << np.arange(CELLS, dtype=np.int64)
"""Bit of each pair of a threshold and a range of areas."""


class Detections(NamedTuple):
    """Detections of one class, by falling score within an image.

    Attributes:
        image: int64 (N,) index of the image.
        score: float64 (N,).
        matched: int64 (N,) the `BITS` for which it matches a labelled instance.
        ignored: int64 (N,) the `BITS` for which it counts for nothing.
    """

    image: Counts
    score: Values
    matched: Counts
    ignored: Counts


def match(iou: Values, areas: Counts, true_areas: Counts, crowds: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    """Match the detections of one class in one image, the most certain first.

    A detection takes the labelled instance with the largest IoU among those that are left, and only if there is none an
    ignored one: a crowd, which any number of detections can match, or an instance whose area is not in the range.

    Args:
        iou: (N, M) IoU of detections, by falling score, and labelled instances; with a crowd, the share of the
            detection that is in it.
        areas: (N,) pixels of each detection.
        true_areas: (M,) pixels of each labelled instance.
        crowds: (M,) whether it is a crowd.

    Returns:
        `matched` and `ignored` of `Detections`, and int64 (ranges,), the number of instances that are to be found.
    """
    outside = (true_areas < RANGES[:, :1]) | (true_areas > RANGES[:, 1:])
    ignored = outside | crowds  # (A, M)
    free = np.ones((len(THRESHOLDS), *ignored.shape), bool)
    least = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None, None]
    matched = np.zeros((len(iou), *free.shape[:2]), bool)
    dropped = np.broadcast_to(
        ((areas[:, None] < RANGES[:, 0]) | (areas[:, None] > RANGES[:, 1]))[:, None], matched.shape
    ).copy()
    for k in np.flatnonzero((iou >= least.min()).any(1)):
        near = free & (iou[k] >= least)
        for kind, among in ((False, near & ~ignored), (True, near & ignored)):
            # of equal ones the last
            values = np.where(among, iou[k], -1)[..., ::-1]
            best = iou.shape[1] - 1 - values.argmax(-1)
            new = among.any(-1) & ~matched[k]
            matched[k] |= new
            dropped[k] = np.where(new, kind, dropped[k])
            threshold, area = np.nonzero(new)
            free[threshold, area, best[new]] = crowds[best[new]]
    wanted = (~ignored).sum(1)
    flat = (each.reshape(len(iou), CELLS).astype(np.int64) @ BITS for each in (matched, dropped))
    return *flat, wanted


def class_precision(found: Detections, wanted: Counts) -> tuple[Values, Values]:
    """Precision and recall of one class over a split.

    Args:
        found: Detections of the class in all images, in the order of images.
        wanted: int64 (ranges,) number of labelled instances.

    Returns:
        Precision (thresholds, recalls, ranges) and recall (thresholds, ranges, limits); NaN if nothing is labelled.
    """
    precision = np.full((len(THRESHOLDS), len(RECALLS), len(RANGES)), np.nan)
    recall = np.full((len(THRESHOLDS), len(RANGES), len(LIMITS)), np.nan)
    starts = np.flatnonzero(np.diff(found.image, prepend=-1))
    place = np.arange(len(found.image)) - np.repeat(starts, np.diff(starts, append=len(found.image)))
    order = np.argsort(-found.score, kind="stable")
    for cell in range(CELLS):
        threshold, area = divmod(cell, len(RANGES))
        if not wanted[area]:
            continue
        counts = (found.ignored & BITS[cell]) == 0
        right = ((found.matched & BITS[cell]) != 0) & counts
        for k, limit in enumerate(LIMITS):
            recall[threshold, area, k] = (right & (place < limit)).sum() / wanted[area]
        tp, fp = np.cumsum(right[order], dtype=np.float64), np.cumsum((counts & ~right)[order], dtype=np.float64)
        curve = np.maximum.accumulate((tp / (tp + fp + np.spacing(1)))[::-1])[::-1]
        at = np.searchsorted(tp / wanted[area], RECALLS)
        precision[threshold, :, area] = np.append(curve, 0)[at]
    return precision, recall
