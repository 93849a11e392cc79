"""Intervals and p-values against Student's t tests of scipy, where they are exact, and the jackknife against a loop."""

import math

import numpy as np
import pytest
from scipy import stats

from seglight.metrics.jackknife import (
    Estimates,
    Part,
    Uncertainty,
    freedom_of,
    jackknife,
    training_variance,
    uncertainty,
    variance_of_mean,
)


def mean_of(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return total / count


def means(samples: np.ndarray) -> Estimates:
    """Means of samples (S, G, K) as ratios of sums."""
    return jackknife(mean_of, samples, np.ones_like(samples))


def test_pseudo_values_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    part, whole = rng.integers(1, 50, (2, 2, 7, 3))
    found = jackknife(mean_of, part, part + whole)
    for training in range(2):
        ratio = part[training].sum(0) / (part + whole)[training].sum(0)
        assert found.values[training] == pytest.approx(ratio)
        for group in range(7):
            keep = np.arange(7) != group
            without = part[training][keep].sum(0) / (part + whole)[training][keep].sum(0)
            assert found.pseudo[training, group] == pytest.approx(7 * ratio - 6 * without)


def test_means_of_pairs_have_the_p_value_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.uniform(size=(2, 1, 12, 5)) + rng.normal(size=(1, 12, 5))
    one += [0, 0.1, 0.2, 0.5, 1]
    differences = means(one).pseudo.mean(-3) - means(other).pseudo.mean(-3)
    values = means(one).mean() - means(other).mean()
    found = uncertainty(differences, None, 2.0)
    expected = stats.ttest_rel(one[0], other[0])
    assert found.p_values(values) == pytest.approx(expected.pvalue, rel=1e-6)
    low, high = expected.confidence_interval()
    assert values - found.half_width() == pytest.approx(low)
    assert values + found.half_width() == pytest.approx(high)


def test_trainings_on_images_that_are_all_alike_have_the_p_value_of_the_t_test_of_two_samples() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(3, 1, 4)), rng.normal([0, 1, 2, 4], size=(5, 1, 4))
    sides = [means(np.repeat(side, 6, axis=1)) for side in (one, other)]
    trained = training_variance(sides)
    assert trained is not None
    assert trained.freedom == 6
    assert trained.of_images == pytest.approx(np.zeros(4), abs=1e-20)
    values = sides[0].mean() - sides[1].mean()
    found = uncertainty(sides[0].pseudo.mean(-3) - sides[1].pseudo.mean(-3), trained, 1 / 3 + 1 / 5)
    assert found.p_values(values) == pytest.approx(stats.ttest_ind(one[:, 0], other[:, 0]).pvalue, rel=1e-6)


def test_the_part_that_trainings_and_images_share_is_counted_once() -> None:
    """Independent values for each training and image: the variance of their mean is variance / (trainings * images)."""
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(4, 500, 2000))
    side = means(samples)
    trained = training_variance([side])
    assert trained is not None
    assert trained.of_images.mean() == pytest.approx(1 / 500, rel=0.01)
    shared, between = uncertainty(side.pseudo.mean(-3), trained, 1 / 4).parts
    assert between.variance.mean() == pytest.approx(1 / 2000, rel=0.05)
    assert shared.variance.mean() < 0.1 / 2000, "images have nothing in common"


def test_a_known_part_is_normal() -> None:
    found = Uncertainty((Part(np.array([4.0]), math.inf),))
    assert found.half_width() == pytest.approx(2 * stats.norm.ppf(0.975))
    assert found.p_values(np.array([3.0])) == pytest.approx(2 * stats.norm.sf(1.5))


def test_what_is_equal_has_a_p_value_of_one_and_what_is_not_known_has_none() -> None:
    nothing = Uncertainty((Part(np.array([0.0, np.nan, 1.0]), 3),))
    assert nothing.p_values(np.array([0.0, 1.0, np.nan])).tolist()[0] == pytest.approx(1)
    assert np.isnan(nothing.p_values(np.array([0.0, 1.0, np.nan]))[1:]).all()
    assert np.isnan(variance_of_mean(np.ones((1, 2)))).all(), "one group says nothing about others"


def test_without_several_trainings_their_variance_is_not_known() -> None:
    assert training_variance([means(np.ones((1, 3, 2))), means(np.ones((1, 3, 2)))]) is None


def test_groups_that_are_far_out_leave_few_degrees_of_freedom() -> None:
    """Worked by hand: 2 of 20 values are 1 and -1, the others 0: the kurtosis is 10, 2 * 20 / (10 - 1) remain."""
    few = np.zeros((20, 1))
    few[3] = 1
    few[8] = -1
    assert freedom_of(few) == pytest.approx(40 / 9)
    assert freedom_of(np.tile([[1.0], [-1.0]], (10, 1))) == 19
    assert freedom_of(np.ones((20, 1))) == 19
    assert math.isnan(freedom_of(np.full((20, 1), np.nan))[0]) or freedom_of(np.full((20, 1), np.nan)) == 19
