"""Differences between recipes or nets that were scored on the same images: intervals, p-values, and which differ."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from seglight.metrics.boundary_counts import mean_boundary_iou
from seglight.metrics.jackknife import (
    Estimates,
    Part,
    TrainingVariance,
    Uncertainty,
    Values,
    jackknife,
    training_variance,
    uncertainty,
)
from seglight.ops.iou import Counts, class_iou, group_sums, mean_iou, ratio

MIOU = 0
ACCURACY = 1
CLASSES = 2
"""Places of the scores of `estimates`: that of the mean IoU, of the accuracy, and of the first class's IoU."""

SIGNIFICANT = 0.05
"""p-values below it tell two sides apart, after the correction for their number."""

SEED_DEVIATION = 0.01
"""Assumed standard deviation of the mIoU between trainings of one recipe: 0.009 in three trainings on CamVid."""


def scores(hit: Counts, true: Counts, predicted: Counts) -> Values:
    """Mean IoU, accuracy and the IoU of each class (..., 2 + C) of sums of counts (..., C)."""
    accuracy = ratio(hit.sum(-1), true.sum(-1))
    means = np.stack([mean_iou(hit, true, predicted), accuracy], -1)
    return np.concatenate([means, class_iou(hit, true, predicted)], -1)


def estimates(trainings: Sequence[tuple[Counts, Counts, Counts]], groups: NDArray[np.int64]) -> Estimates:
    """Scores of one side, and what each group of images contributes to them.

    Args:
        trainings: Pixels hit, true and predicted of each class in each image, (images, C), of each training.
        groups: (images,) group of each image.
    """
    hit, true, predicted = (
        np.stack([group_sums(counts, groups) for counts in part]) for part in zip(*trainings, strict=True)
    )
    return jackknife(scores, hit, true, predicted)


def boundary_estimates(trainings: Sequence[tuple[Counts, Counts]], groups: NDArray[np.int64]) -> Estimates:
    """As `estimates`, the mean boundary IoU alone (K = 1), of intersections and unions (images, C) of bands."""
    intersection, union = (
        np.stack([group_sums(counts, groups) for counts in part]) for part in zip(*trainings, strict=True)
    )
    return jackknife(lambda *counts: mean_boundary_iou(*counts)[..., None], intersection, union)


@dataclass(frozen=True)
class Difference:
    """The scores of one side less those of another one.

    Attributes:
        values: (K,) the differences; NaN for a class that one side has neither in labels nor in predictions.
        low: (K,) lower ends of the 95 % intervals, cut at -1 and 1 as no difference of scores is beyond.
        high: (K,) upper ends.
        p: (K,) p-values, not corrected.
        of_images: Whether the intervals contain only the choice of the images, because no side has several trainings.
    """

    values: Values
    low: Values
    high: Values
    p: Values
    of_images: bool


def difference(
    one: Estimates, other: Estimates, trained: TrainingVariance | None = None, allowance: Values | float = 0.0
) -> Difference:
    """Compare two sides on the same groups of images.

    Args:
        one: Estimates of the first side.
        other: Estimates of the second side.
        trained: Variance between trainings of one recipe, where it is known from other sides only.
        allowance: Standard deviation (K,) between trainings that p-values allow for if it is not known at all. The
            intervals do not contain it.
    """
    pseudo = one.pseudo.mean(-3) - other.pseudo.mean(-3)
    share = 1 / one.trainings + 1 / other.trainings
    trained = training_variance([one, other]) or trained
    shown = uncertainty(pseudo, trained, share)
    values = one.mean() - other.mean()
    judged = shown
    if trained is None:
        allowed = share * np.broadcast_to(np.square(allowance), values.shape)
        judged = Uncertainty((*shown.parts, Part(allowed, math.inf)))
    half = shown.half_width()
    low, high = (np.clip(end, -1, 1) for end in (values - half, values + half))
    return Difference(values, low, high, judged.p_values(values), trained is None)


def interval(side: Estimates, trained: TrainingVariance | None = None) -> tuple[Values, Values]:
    """The 95 % intervals (K,) of a side's own scores: of the mean over trainings of its recipe where it is known.

    No score is outside of [0, 1]: an interval that is symmetric around one is cut there.
    """
    trained = training_variance([side]) or trained
    half = uncertainty(side.pseudo.mean(-3), trained, 1 / side.trainings).half_width()
    return np.clip(side.mean() - half, 0, 1), np.clip(side.mean() + half, 0, 1)


def all_differences(sides: Sequence[Estimates], seed_deviation: float) -> dict[tuple[int, int], Difference]:
    """The difference of each pair of sides, by their places.

    Args:
        sides: Estimates of the sides on the same groups of images.
        seed_deviation: Assumed standard deviation of the mean IoU between trainings, if no side has several. That of a
            class's IoU is larger by the root of the number of classes, as if classes varied independently.
    """
    trained = training_variance(sides)
    count = sides[0].values.shape[-1]
    allowance = np.full(count, seed_deviation)
    allowance[CLASSES:] *= math.sqrt(max(1, count - CLASSES))
    return {(a, b): difference(sides[a], sides[b], trained, allowance) for a, b in combinations(range(len(sides)), 2)}


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values corrected for their number: below 0.05 for a true null hypothesis in 5 % of families at most.

    Holm, A Simple Sequentially Rejective Multiple Test Procedure (Scandinavian Journal of Statistics 1979). NaN are
    left out, and stay.

    Args:
        p: p-values of a family, of any shape.
    """
    flat = p.ravel()
    order = np.argsort(flat, kind="stable")  # NaN come last
    known = int((~np.isnan(flat)).sum())
    stepped = flat[order[:known]] * np.arange(known, 0, -1)
    corrected = np.full(flat.shape, np.nan)
    corrected[order[:known]] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected.reshape(p.shape)


def letters(sides: int, apart: Iterable[tuple[int, int]]) -> list[str]:
    """Letters of each side: two sides that share a letter can't be told apart.

    Piepho, An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons (2004): insert and absorb.

    Args:
        sides: Number of sides, best first, so that the best one has an "a".
        apart: Pairs of sides that can be told apart.
    """
    columns = [frozenset(range(sides))]
    for one, other in apart:
        split = [
            part
            for column in columns
            for part in ([column - {one}, column - {other}] if {one, other} <= column else [column])
        ]
        columns = [part for part in dict.fromkeys(split) if not any(part < wider for wider in split)]
    columns.sort(key=sorted)
    names = [chr(ord("a") + place) if place < 26 else f"({place + 1})" for place in range(len(columns))]
    return [
        "".join(name for name, column in zip(names, columns, strict=True) if side in column) for side in range(sides)
    ]


def image_scores(trainings: Sequence[tuple[Counts, Counts, Counts]]) -> NDArray[np.float64]:
    """Mean IoU of each image (images,), the mean over the trainings; NaN where nothing is labelled."""
    mean: NDArray[np.float64] = np.mean([mean_iou(*counts) for counts in trainings], axis=0)
    return mean
