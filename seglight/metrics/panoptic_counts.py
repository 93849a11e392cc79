"""Panoptic quality from counts: those of each image, and the scores of sums of them.

Kirillov et al., Panoptic Segmentation (CVPR 2019), section 4, as the authors' panopticapi computes it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.metrics.comparison import interval
from seglight.metrics.jackknife import jackknife
from seglight.ops.iou import Counts, ratio

UNIT = 2**42
"""IoUs are summed as whole multiples of 1 / UNIT, so that sums are the same in any order and number of processes. The
error of a mean is at most 1.2e-13, and two million matches of a class fit into 64 bits."""

COLUMNS = ("iou", "tp", "fp", "fn")
"""Counts of a class: sum of the IoUs of matched segments in 1 / UNIT, their number, and unmatched segments."""


@dataclass(frozen=True)
class Pairs:
    """Pixels that true and predicted segments of an image have in common.

    Attributes:
        true: int64 (N,) number of the true segment of each pair, 0 for none, which is not labelled.
        predicted: int64 (N,) number of the predicted segment, 0 for none.
        pixels: int64 (N,) number of pixels, which is positive.
    """

    true: Counts
    predicted: Counts
    pixels: Counts

    def areas(self, true: int, predicted: int) -> tuple[Counts, Counts]:
        """Pixels of each number, (true + 1,) and (predicted + 1,)."""
        return _sums(self.true, self.pixels, true + 1), _sums(self.predicted, self.pixels, predicted + 1)


def count_image(
    pairs: Pairs,
    predicted_classes: Counts,
    classes: Counts,
    crowds: NDArray[np.bool_],
    num_classes: int,
    bands: Pairs | None = None,
) -> Counts:
    """Match the segments of an image.

    A predicted and a true segment of one class match if their IoU, without the pixels of the predicted one that are not
    labelled, is above 0.5. Crowds match nothing, and are not missed. An unmatched prediction is not counted if more
    than half of it is not labelled or in the crowd of its class (the last one, if there are several). Segments without
    pixels count for nothing.

    Args:
        pairs: Pixels that segments have in common.
        predicted_classes: (n,) class of each predicted segment.
        classes: (m,) class of each true segment.
        crowds: (m,) whether a true segment is a crowd.
        num_classes: Number of classes C.
        bands: The same of the segments' boundary bands: the IoU is the smaller one of both.

    Returns:
        int64 (C, 4), in the order of `COLUMNS`.
    """
    true_area, predicted_area = pairs.areas(len(classes), len(predicted_classes))
    nowhere = pairs.true == 0
    unlabelled = _sums(pairs.predicted[nowhere], pairs.pixels[nowhere], len(predicted_area))
    # in what follows, segment k has the number k + 1
    true_class, predicted_class = np.insert(classes, 0, -1), np.insert(predicted_classes, 0, -2)
    crowd = np.insert(crowds, 0, False)
    same = (true_class[pairs.true] == predicted_class[pairs.predicted]) & ~crowd[pairs.true]
    true, predicted, common = pairs.true[same], pairs.predicted[same], pairs.pixels[same]
    iou = ratio(common, true_area[true] + predicted_area[predicted] - common - unlabelled[predicted])
    if bands is not None:
        iou = np.minimum(iou, _band_iou(bands, true, predicted, len(classes), len(predicted_classes)))
    match = iou > 0.5
    true, predicted, iou = true[match], predicted[match], iou[match]

    counts = np.zeros((num_classes, len(COLUMNS)), np.int64)
    np.add.at(counts[:, 0], true_class[true], np.rint(iou * UNIT).astype(np.int64))
    np.add.at(counts[:, 1], true_class[true], 1)
    missed = (true_area > 0) & ~crowd
    missed[0] = missed[true] = False
    np.add.at(counts[:, 3], true_class[missed], 1)

    last_crowd = np.zeros(num_classes, np.int64)
    last_crowd[true_class[crowd & (true_area > 0)]] = np.flatnonzero(crowd & (true_area > 0))
    in_crowd = pairs.true == last_crowd[predicted_class[pairs.predicted].clip(min=0)]
    in_crowd &= (pairs.true > 0) & (pairs.predicted > 0)
    excused = unlabelled + _sums(pairs.predicted[in_crowd], pairs.pixels[in_crowd], len(predicted_area))
    wrong = (predicted_area > 0) & (2 * excused <= predicted_area)
    wrong[0] = wrong[predicted] = False
    np.add.at(counts[:, 2], predicted_class[wrong], 1)
    return counts


def _sums(numbers: Counts, pixels: Counts, length: int) -> Counts:
    total = np.zeros(length, np.int64)
    np.add.at(total, numbers, pixels)
    return total


def _band_iou(bands: Pairs, true: Counts, predicted: Counts, trues: int, predictions: int) -> NDArray[np.float64]:
    """IoU of the bands of pairs of segments; bands contain no pixel that is not labelled."""
    true_area, predicted_area = bands.areas(trues, predictions)
    cells = bands.true * (predictions + 1) + bands.predicted  # ascending
    wanted = true * (predictions + 1) + predicted
    place = np.searchsorted(cells, wanted).clip(max=max(0, len(cells) - 1))
    common = np.zeros(len(wanted), np.int64)
    if len(cells):
        common = np.where(cells[place] == wanted, bands.pixels[place], 0)
    return np.nan_to_num(ratio(common, true_area[true] + predicted_area[predicted] - common))


class PanopticScores(NamedTuple):
    """Scores of each class; float64 (C,), NaN for a class that is neither labelled nor predicted.

    Attributes:
        pq: Panoptic quality: sum of the IoUs of matches / (tp + fp / 2 + fn / 2), which is `sq` * `rq`.
        sq: Segmentation quality: mean IoU of the matches; 0 without any.
        rq: Recognition quality: tp / (tp + fp / 2 + fn / 2), the F1 score of segments.
        counts: int64 (C, 4), in the order of `COLUMNS`.
    """

    pq: NDArray[np.float64]
    sq: NDArray[np.float64]
    rq: NDArray[np.float64]
    counts: Counts

    @classmethod
    def of(cls, counts: Counts) -> "PanopticScores":
        """Scores of sums of counts (C, 4)."""
        pq, sq, rq = qualities(*np.moveaxis(counts, -1, 0))
        return cls(pq, sq, rq, counts)

    def mean(self, classes: Collection[int] | None = None) -> tuple[float, float, float]:
        """Means of `pq`, `sq` and `rq` over the classes that are labelled or predicted; NaN if there is none.

        Args:
            classes: Classes of the mean, such as those of things; None: all.
        """
        chosen = slice(None) if classes is None else sorted(classes)
        return tuple(float(_mean(scores[chosen])) for scores in (self.pq, self.sq, self.rq))  # type: ignore[return-value]


def qualities(
    iou: Counts, tp: Counts, fp: Counts, fn: Counts
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """PQ, SQ and RQ (...) of sums of counts (...); NaN where all are 0.

    Args:
        iou: Sum of the IoUs of matches in 1 / UNIT.
        tp: Number of matches.
        fp: Number of unmatched predictions.
        fn: Number of unmatched labels.
    """
    whole = 2 * tp + fp + fn
    pq, rq = ratio(2 * (iou / UNIT), whole), ratio(2 * tp, whole)
    sq = np.where((tp == 0) & (whole > 0), 0, ratio(iou / UNIT, tp))
    return pq, sq, rq


def mean_pq(iou: Counts, tp: Counts, fp: Counts, fn: Counts) -> NDArray[np.float64]:
    """Mean PQ (...) of sums of counts (..., C) over the classes that are there. Arguments as in `qualities`."""
    return _mean(qualities(iou, tp, fp, fn)[0])


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(scores)
    return ratio(np.where(there, scores, 0).sum(-1), there.sum(-1))


def pq_interval(images: Counts) -> tuple[float, float]:
    """The 95 % interval of the mean PQ over images, by the jackknife; NaN for a single image.

    Args:
        images: int64 (images, C, 4) counts of each image.
    """
    counts = np.moveaxis(images[None], -1, 0)
    low, high = interval(jackknife(lambda *sums: mean_pq(*sums)[..., None], *counts))
    return float(low[0]), float(high[0])
