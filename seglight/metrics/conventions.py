"""The mIoU that other libraries would report for the same predictions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.metrics.image_counts import ScoredImages
from seglight.ops.iou import Counts, class_iou, mean_iou, ratio

SATURATION = 2**24
"""Number at which adding ones in float32 stops."""


class Convention(NamedTuple):
    """A score by the rules of a library.

    Attributes:
        name: Library and setting.
        miou: The score.
        over: What the mean is over.
        absent: Treatment of a class that is neither in the labels nor in the predictions.
    """

    name: str
    miou: float
    over: str
    absent: str


def conventions(scored: ScoredImages) -> list[Convention]:
    """The score of seglight and those of other libraries, from the same integers.

    mmsegmentation is its `IoUMetric`; torchmetrics macro, micro and none are `average` of `MulticlassJaccardIndex`, the
    last followed by `.mean()`; torchmetrics MeanIoU is that of `torchmetrics.segmentation` 1.9 on one-hot maps; smp
    macro and micro are `reduction` of `iou_score`; PaddleSeg is its `mean_iou`. The mean of batches is that of a loop
    that averages the macro score of each batch, with the images in the order of the split.

    Args:
        scored: Counts of each image.
    """
    images = scored.counts.by_class()
    split = hit, true, predicted = tuple(counts.sum(0) for counts in images)
    iou = class_iou(*split)
    ours = float(mean_iou(*split))
    micro = float(ratio(hit.sum(), (true + predicted - hit).sum()))
    as_zero, as_one = (float(np.where(np.isnan(iou), value, iou).mean()) for value in (0, 1))
    size = scored.batch_size
    return [
        Convention("seglight", ours, "classes", "left out"),
        Convention("mmsegmentation", _float32_miou(*images), "classes", "left out"),
        Convention("torchmetrics macro", ours, "classes", "left out"),
        Convention("torchmetrics none, .mean()", as_zero, "classes", "as 0"),
        Convention("torchmetrics micro", micro, "pixels", "no weight"),
        Convention("torchmetrics MeanIoU", _pooled(*images), "image, class", "left out"),
        Convention("smp macro", as_one, "classes", "as 1"),
        Convention("smp micro", micro, "pixels", "no weight"),
        Convention("PaddleSeg", as_zero, "classes", "as 0"),
        Convention(f"mean of batches of {size}", _by_batch(images, size), "batches", "left out"),
    ]


def saturated(scored: ScoredImages) -> bool:
    """Whether an image has more pixels of a class than float32 can count in ones, as mmsegmentation's histc does."""
    _, true, predicted = scored.counts.by_class()
    return bool(max(true.max(initial=0), predicted.max(initial=0)) > SATURATION)


def _float32_miou(hit: Counts, true: Counts, predicted: Counts) -> float:
    """The score with counts by image, their sums and the quotient in float32."""
    intersection, labels, guesses = (
        np.minimum(counts, SATURATION).astype(np.float32) for counts in (hit, true, predicted)
    )
    union = labels + guesses - intersection
    # image after image, as Python's sum: that of NumPy adds in pairs, which rounds differently
    total, whole = (np.add.accumulate(areas, axis=0)[-1] for areas in (intersection, union))
    return float(np.mean(total[whole > 0] / whole[whole > 0])) if (whole > 0).any() else float("nan")


def _pooled(hit: Counts, true: Counts, predicted: Counts) -> float:
    """Mean over all pairs of an image and a class that is in it or predicted in it."""
    iou = class_iou(hit, true, predicted)
    present = ~np.isnan(iou)
    return float(iou[present].mean()) if present.any() else float("nan")


def _by_batch(images: tuple[NDArray[np.int64], ...], size: int) -> float:
    """Mean over batches of each batch's own mean IoU."""
    starts = np.arange(0, len(images[0]), size)
    scores = mean_iou(*(np.add.reduceat(counts, starts, axis=0) for counts in images))
    present = ~np.isnan(scores)
    return float(scores[present].mean()) if present.any() else float("nan")
