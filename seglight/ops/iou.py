"""The score, defined once: intersection over union of each class, its mean, and its interval over images."""

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
    hit: Counts, true: Counts, predicted: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean IoU over bootstrap samples of the images.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. It shows how much the
    score depends on the choice of the images, not on the training. It assumes independent images: for frames of one
    video, which resemble each other, it is too narrow.

    Args:
        hit: (images, C) number of pixels of each class that are predicted as it, in each image.
        true: (images, C) number of pixels of each class.
        predicted: (images, C) number of pixels predicted as each class.
        resamples: Number of samples, each of as many images as there are, drawn with replacement.
        seed: Seed of the samples, independent of NumPy's global state.

    Returns:
        The 2.5th and the 97.5th percentile; NaN if nothing is labelled.
    """
    scores = bootstrap_scores(hit, true, predicted, resamples, seed)
    scores = scores[~np.isnan(scores)]
    low, high = np.percentile(scores, [2.5, 97.5]) if len(scores) else (np.nan, np.nan)
    return float(low), float(high)


def bootstrap_scores(
    hit: Counts, true: Counts, predicted: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """The mean IoU of each sample of `bootstrap_interval`, (resamples,).

    For the same number of images and seed the samples are the same, so that the scores of two nets can be compared
    sample by sample.
    """
    images = len(hit)
    if images == 0:
        return np.full(resamples, np.nan)
    times = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    weights = times.astype(np.float64)  # BLAS multiplies matrices of floats, exactly up to 2**53, but not of integers
    drawn = [np.rint(weights @ counts.astype(np.float64)).astype(np.int64) for counts in (hit, true, predicted)]
    return mean_iou(*drawn)
