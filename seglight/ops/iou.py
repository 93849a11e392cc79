"""The score, defined once: intersection over union by class, its mean, and the interval that its images leave it."""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""Pixels by class, (..., C)."""

RESAMPLES = 1000


def class_iou(hit: Counts, true: Counts, predicted: Counts) -> NDArray[np.float64]:
    """Intersection over union (..., C); NaN where a class is in neither labels nor predictions.

    Args:
        hit: Pixels of a class that are predicted as it.
        true: Pixels of a class.
        predicted: Pixels predicted as a class.
    """
    return share(hit, true + predicted - hit)


def mean_iou(hit: Counts, true: Counts, predicted: Counts) -> NDArray[np.float64]:
    """Mean over the classes with a non-empty union: (..., C) to (...); NaN where there is none."""
    iou = class_iou(hit, true, predicted)
    there = ~np.isnan(iou)
    return share(np.where(there, iou, 0).sum(-1), there.sum(-1))


def share(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """`part / whole` in float64; NaN where both are 0."""
    with np.errstate(invalid="ignore"):
        quotient: NDArray[np.float64] = np.divide(part, whole, dtype=np.float64)
    return quotient


def bootstrap_interval(
    hit: Counts, true: Counts, predicted: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean IoU over images drawn anew, with replacement.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. It tells what another draw of images of the
    same kind would do to the score, not what another training would. Images count as independent: of frames of one
    drive, which resemble each other, it is too narrow.

    Args:
        hit: (images, C) pixels of a class that are predicted as it, image by image.
        true: (images, C) pixels of a class.
        predicted: (images, C) pixels predicted as a class.
        resamples: Draws of as many images as there are.
        seed: The same draws for the same seed, whatever NumPy's global state.

    Returns:
        The 2.5th and the 97.5th percentile; NaN where nothing is labelled.
    """
    scores = bootstrap_scores(hit, true, predicted, resamples, seed)
    scores = scores[~np.isnan(scores)]
    low, high = np.percentile(scores, [2.5, 97.5]) if len(scores) else (np.nan, np.nan)
    return float(low), float(high)


def bootstrap_scores(
    hit: Counts, true: Counts, predicted: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """The mean IoU of each draw of `bootstrap_interval`: (resamples,).

    The draws of as many images are the same: the difference of what two nets get on them is of the same images.
    """
    images = len(hit)
    if images == 0:
        return np.full(resamples, np.nan)
    often = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    times = often.astype(np.float64)  # a matrix product of floats, exact up to 2**53, is BLAS's; of integers it isn't
    drawn = [np.rint(times @ counts.astype(np.float64)).astype(np.int64) for counts in (hit, true, predicted)]
    return mean_iou(*drawn)
