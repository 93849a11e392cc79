"""How much scores vary with the images and with the training: jackknife over groups of images, variance over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from seglight.ops.iou import Counts

Values = NDArray[np.float64]
"""Values of K scores, (..., K)."""

OUTSIDE = 0.05
"""Share of 95 % intervals that do not contain the truth."""

KNOWN = 1e6
"""Degrees of freedom from which Student's t is the normal distribution."""

BISECTIONS = 60
"""Halvings of the range in which a p-value is searched."""

LEAST_LOG_P = -40.0
"""Logarithm of the smallest p-value."""


@dataclass(frozen=True)
class Estimates:
    """Scores of S trainings of one recipe, and what each of G groups of images contributes to them.

    Attributes:
        values: (..., S, K) the scores on all images.
        pseudo: (..., S, G, K) jackknife pseudo-values: G * score - (G - 1) * score without the group.
    """

    values: Values
    pseudo: NDArray[np.float64]

    @property
    def trainings(self) -> int:
        """Number of trainings S."""
        return int(self.values.shape[-2])

    def mean(self) -> Values:
        """Mean over the trainings, (..., K)."""
        mean: Values = self.values.mean(-2)
        return mean


def jackknife(score: Callable[..., Values], *counts: Counts) -> Estimates:
    """Leave out each group of images once.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 11.

    Args:
        score: Function of sums of the counts (..., C) that returns scores (..., K).
        *counts: Counts (..., S, G, C) that add up over the groups.
    """
    totals = [each.sum(-2, keepdims=True) for each in counts]
    groups = counts[0].shape[-2]
    values = score(*totals)
    without = score(*(total - each for total, each in zip(totals, counts, strict=True)))
    return Estimates(values[..., 0, :], groups * values - (groups - 1) * without)


class Part(NamedTuple):
    """A part of the variance of an estimate.

    Attributes:
        variance: (..., K) the variance.
        freedom: Degrees of freedom that it was estimated with; infinite if it is known.
    """

    variance: Values
    freedom: float | Values


@dataclass(frozen=True)
class Uncertainty:
    """Independent parts of the variance of an estimate, each with its own degrees of freedom.

    Half of the width of an interval is the root of the sum of the squares of the parts' own halves: exact for one part.
    With the effective degrees of freedom of the sum (Satterthwaite) in its place, intervals are too narrow where the
    larger part has only one or two degrees of freedom and is estimated too small by chance.

    Attributes:
        parts: The parts.
    """

    parts: tuple[Part, ...]

    def half_width(self, outside: float | Values = OUTSIDE) -> Values:
        """Half of the width (..., K) of the interval that does not contain the truth with this probability."""
        tail = np.asarray(outside) / 2
        squares = [_quantile(part.freedom, tail) ** 2 * part.variance for part in self.parts]
        half: Values = np.sqrt(np.sum(squares, axis=0))
        return half

    def p_values(self, estimate: Values) -> Values:
        """Smallest `outside` of the intervals around an estimate (..., K) that exclude 0; NaN without an interval."""
        low, high = np.full(estimate.shape, LEAST_LOG_P), np.zeros(estimate.shape)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            excluded = self.half_width(np.exp(middle)) < abs(estimate)
            low, high = np.where(excluded, low, middle), np.where(excluded, middle, high)
        return np.where(np.isnan(self.half_width() + estimate), np.nan, np.exp(high))


def _quantile(freedom: float | Values, tail: Values) -> Values:
    freedom = np.asarray(freedom, np.float64)
    student: Values = stdtrit(np.minimum(freedom, KNOWN), tail)
    return np.where(freedom < KNOWN, student, ndtri(tail))


@dataclass(frozen=True)
class TrainingVariance:
    """Variance between trainings of one recipe on the same images.

    Attributes:
        total: (..., K) variance of a training's scores.
        of_images: (..., K) the part of it that is due to the choice of the images, because trainings differ in which
            images they do well.
        freedom: Degrees of freedom of `total`.
    """

    total: Values
    of_images: Values
    freedom: int


def training_variance(sides: Sequence[Estimates]) -> TrainingVariance | None:
    """Variance between trainings, pooled over the sides that have several; None if no side has.

    Args:
        sides: Estimates of recipes on the same groups of images.
    """
    several = [side for side in sides if side.trainings > 1]
    if not several:
        return None
    freedom = sum(side.trainings - 1 for side in several)
    total = np.sum([side.values.var(-2) * side.trainings for side in several], axis=0) / freedom
    residuals = [side.pseudo - side.pseudo.mean(-3, keepdims=True) for side in several]
    of_images = np.sum([variance_of_mean(each).sum(-2) for each in residuals], axis=0) / freedom
    return TrainingVariance(total, of_images, freedom)


def uncertainty(pseudo: NDArray[np.float64], trained: TrainingVariance | None, share: float) -> Uncertainty:
    """Uncertainty of a score, or of a difference of scores.

    The images are the same for all trainings, and the trainings the same for all images. So the variance over images
    of the mean of the trainings, and the variance over trainings on these images, both contain the part that varies
    with images and trainings together; it is left out of the first (Cameron, Gelbach & Miller, Robust Inference With
    Multiway Clustering, 2011, equation 2.9). With images alone, the second is exact: Student's t test of the means.

    Args:
        pseudo: (..., G, K) pseudo-values, means over the trainings.
        trained: Variance between trainings; None: the uncertainty is that of these trainings' scores.
        share: Share of the variance of a single training in that of the estimate: the sum of 1 / S over its sides.
    """
    over_images = variance_of_mean(pseudo)
    freedom = freedom_of(pseudo)
    if trained is None:
        return Uncertainty((Part(over_images, freedom),))
    shared = np.maximum(over_images - share * trained.of_images, 0)
    return Uncertainty((Part(shared, freedom), Part(share * trained.total, trained.freedom)))


def variance_of_mean(pseudo: NDArray[np.float64]) -> Values:
    """Variance (..., K) of the mean of pseudo-values (..., G, K); NaN for a single group."""
    groups = pseudo.shape[-2]
    if groups < 2:
        return np.full((*pseudo.shape[:-2], pseudo.shape[-1]), np.nan)
    variance: Values = pseudo.var(-2, ddof=1) / groups
    return variance


def freedom_of(pseudo: NDArray[np.float64]) -> Values:
    """Degrees of freedom (..., K) of the variance of pseudo-values (..., G, K): G - 1, or fewer if a few are far out.

    A variance that was estimated with f degrees of freedom has a variance of 2 / f of its square (Satterthwaite 1946),
    and that of n values with the kurtosis k has (k - 1) / n. So groups count for less if some have far more pixels than
    others, or if few of them contain a class.
    """
    groups = pseudo.shape[-2]
    squares = np.square(pseudo - pseudo.mean(-2, keepdims=True))
    excess: Values = squares.var(-2)  # the fourth moment less the square of the second
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 2 * groups * np.square(squares.mean(-2)) / excess
    return np.clip(np.where(excess > 0, freedom, np.inf), 1, max(1, groups - 1))
