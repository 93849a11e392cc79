"""The score, defined once: intersection over union of each class, its mean, and its interval over images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""Number of pixels by class, (..., C)."""

RESAMPLES = 1000
"""Default number of bootstrap samples."""


def class_iou(hit: Counts, true: Counts, predicted: Counts) -> NDArray[np.float64]:
    """Intersection over union (..., C); NaN for a class that is in neither labels nor predictions.

    Args:
        hit: Number of pixels of each class that are predicted as it.
        true: Number of pixels of each class.
        predicted: Number of pixels predicted as each class.
    """
    return ratio(hit, true + predicted - hit)


def mean_iou(hit: Counts, true: Counts, predicted: Counts) -> NDArray[np.float64]:
    """Mean over the classes with a non-empty union, (...); NaN if there is none. Arguments as in `class_iou`."""
    iou = class_iou(hit, true, predicted)
    present = ~np.isnan(iou)
    return ratio(np.where(present, iou, 0).sum(-1), present.sum(-1))


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """`part / whole` in float64; NaN where both are 0."""
    with np.errstate(invalid="ignore"):
        quotient: NDArray[np.float64] = np.divide(part, whole, dtype=np.float64)
    return quotient


def bootstrap_interval(
    hit: Counts,
    true: Counts,
    predicted: Counts,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean IoU over bootstrap samples of the images.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. It shows how much the
    score depends on the choice of the images, not on the training. It assumes independent images: for frames of one
    video, which resemble each other, it is too narrow unless they are drawn as one group.

    Args:
        hit: (images, C) number of pixels of each class that are predicted as it, in each image.
        true: (images, C) number of pixels of each class.
        predicted: (images, C) number of pixels predicted as each class.
        resamples: Number of samples, each of as many images as there are, drawn with replacement.
        seed: Seed of the samples, independent of NumPy's global state.
        groups: (images,) index of the group of each image, see `seglight.metrics.groups`: each sample draws as many
            groups as there are. None: each image is its own group.

    Returns:
        The 2.5th and the 97.5th percentile; NaN if nothing is labelled, or if there is a single image or group.
    """
    scores = bootstrap_scores(hit, true, predicted, resamples, seed, groups)
    low, high = percentile_interval(scores, len(hit) if groups is None else len(np.unique(groups)))
    return float(low), float(high)


def bootstrap_scores(
    hit: Counts,
    true: Counts,
    predicted: Counts,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The mean IoU of each sample of `bootstrap_interval`, (resamples,).

    For the same number of images and seed the samples are the same, so that the scores of two nets can be compared
    sample by sample.
    """
    return mean_iou(*bootstrap_sums((hit, true, predicted), resamples, seed, groups))


def bootstrap_sums(
    counts: Sequence[Counts],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> list[Counts]:
    """Sums of counts over bootstrap samples of the images, the same samples for all of them.

    Args:
        counts: Arrays (images, ...) of counts that add up.
        resamples: Number of samples.
        seed: Seed of the samples.
        groups: (images,) index of the group of each image, as for `bootstrap_interval`.

    Returns:
        An array (resamples, ...) for each of `counts`.
    """
    if groups is not None:
        counts = [group_sums(each, groups) for each in counts]
    drawable = len(counts[0])
    if drawable == 0:
        return [np.zeros((resamples, *each.shape[1:]), np.int64) for each in counts]
    times = np.random.default_rng(seed).multinomial(drawable, np.full(drawable, 1 / drawable), size=resamples)
    weights = times.astype(np.float64)  # BLAS multiplies matrices of floats, exactly up to 2**53, but not of integers
    flat = [weights @ each.reshape(drawable, -1).astype(np.float64) for each in counts]
    return [
        np.rint(sums).astype(np.int64).reshape(resamples, *each.shape[1:])
        for sums, each in zip(flat, counts, strict=True)
    ]


def group_sums(counts: Counts, groups: NDArray[np.int64]) -> Counts:
    """Sums (groups, ...) of counts (images, ...) over the images of each group, whose indices start at 0."""
    sums = np.zeros((int(groups.max(initial=-1)) + 1, *counts.shape[1:]), np.int64)
    np.add.at(sums, groups, counts)
    return sums


def percentile_interval(scores: NDArray[np.float64], drawable: int) -> NDArray[np.float64]:
    """The 2.5th and the 97.5th percentile (2, ...) of scores (resamples, ...), without those that are NaN.

    Args:
        scores: Scores of bootstrap samples.
        drawable: Number of images or groups that the samples are drawn from. A single one does not show how much the
            scores depend on it: the percentiles are NaN.
    """
    nothing = np.isnan(scores).all(0) | (drawable < 2)
    limits: NDArray[np.float64] = np.nanpercentile(np.where(nothing, 0, scores), [2.5, 97.5], axis=0)
    return np.where(nothing, np.nan, limits)
