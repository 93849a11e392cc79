"""The mean IoU and its bootstrap interval against loops of NumPy, and the interval's coverage on simulated images."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.ops.iou import bootstrap_interval, bootstrap_sums, class_iou, mean_iou, percentile_interval

Images = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def counts(images: int, classes: int, seed: int = 0) -> Images:
    """Pixels hit, true and predicted: few images have the last class, none the one before."""
    rng = np.random.default_rng(seed)
    hit, missed, wrong = rng.integers(0, 1000, (3, images, classes))
    for part in (hit, missed, wrong):
        part[:, -2] = 0
        part[1:, -1] = 0
    return hit, hit + missed, hit + wrong


def written_out(hit: NDArray[np.int64], true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    ious = [h / (t + p - h) for h, t, p in zip(hit, true, predicted, strict=True) if t + p - h > 0]
    return sum(ious) / len(ious) if ious else math.nan


def test_mean_leaves_out_classes_without_pixels() -> None:
    hit, true, predicted = counts(6, 5)
    assert np.isnan(class_iou(hit, true, predicted)[:, -2]).all()
    for k, score in enumerate(mean_iou(hit, true, predicted)):
        assert score == pytest.approx(written_out(hit[k], true[k], predicted[k]))
    assert math.isnan(mean_iou(*(np.zeros(3, np.int64) for _ in range(3))))


def test_interval_is_that_of_a_loop_over_resamples() -> None:
    images = counts(30, 5)
    drawn = np.random.default_rng(7).multinomial(30, np.full(30, 1 / 30), size=200)
    scores = []
    for often in drawn:
        again = np.repeat(np.arange(30), often)
        scores.append(written_out(*(part[again].sum(0) for part in images)))
    assert len(set(scores)) > 100
    expected = np.percentile(scores, [2.5, 97.5])
    assert bootstrap_interval(*images, resamples=200, seed=7) == pytest.approx(tuple(expected), abs=1e-12)


def test_no_images_and_no_labels_have_no_interval() -> None:
    for images in (0, 3):
        nothing = np.zeros((images, 4), np.int64)
        assert all(map(math.isnan, bootstrap_interval(nothing, nothing, nothing)))


def test_large_counts_are_exact() -> None:
    """2 ** 33 pixels of a class, which float32 would round."""
    hit = np.full((4, 2), 2**31, np.int64)
    low, high = bootstrap_interval(hit, hit + 1, hit + 1)
    assert 2**31 / (2**31 + 2) == low == high


def test_interval_covers_the_expected_score() -> None:
    """100 splits of 60 images each from one simulated population: 95 % less four standard errors of that."""
    rng = np.random.default_rng(0)
    population = draw(rng, 20_000)
    truth = mean_iou(*(part.sum(0) for part in population))
    intervals = np.array([bootstrap_interval(*draw(rng, 60), resamples=300, seed=k) for k in range(100)])
    assert ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).sum() >= 86
    scores = [float(mean_iou(*(part.sum(0) for part in draw(rng, 60)))) for _ in range(400)]
    low, high = np.percentile(scores, [2.5, 97.5])  # no wider than it has to be
    assert (intervals[:, 1] - intervals[:, 0]).mean() == pytest.approx(high - low, rel=0.15)


def draw(rng: np.random.Generator, images: int) -> Images:
    """Four classes; how well an image is done varies between images."""
    true = rng.integers(200, 2000, (images, 4))
    quality = rng.beta(6, 3, (images, 1))
    hit = rng.binomial(true, quality)
    return hit, true, hit + rng.poisson(0.3 * (true - hit))


def test_groups_are_drawn_whole() -> None:
    """A bootstrap over groups of images is one over the sums of the groups, and three of a kind are one group."""
    images = counts(12, 4)
    groups = np.array([0, 0, 1, 2, 2, 2, 1, 3, 4, 4, 0, 3])
    sums = tuple(np.stack([part[groups == group].sum(0) for group in range(5)]) for part in images)
    assert bootstrap_interval(*images, seed=3, groups=groups) == bootstrap_interval(*sums, seed=3)
    tripled = tuple(np.repeat(part, 3, 0) for part in images)
    assert bootstrap_interval(*tripled, groups=np.repeat(np.arange(12), 3)) == bootstrap_interval(*images)
    low, high = bootstrap_interval(*tripled)
    assert high - low < 0.8 * np.subtract(*bootstrap_interval(*images)[::-1]), "taken one by one, they look like more"


def test_interval_of_each_class() -> None:
    """Percentiles of the same samples, of any score; NaN only where no sample has the class."""
    images = counts(20, 5)
    ious = class_iou(*bootstrap_sums(images, 300, seed=1))
    low, high = percentile_interval(ious, 20)
    assert np.isnan(low).tolist() == [False, False, False, True, False]
    alone = ious[:, 4][~np.isnan(ious[:, 4])]
    assert len(alone) < 300
    assert (low[4], high[4]) == tuple(np.percentile(alone, [2.5, 97.5]))
    means = mean_iou(*bootstrap_sums(images, 300, 1))
    assert bootstrap_interval(*images, 300, 1) == tuple(percentile_interval(means, 20))


def test_a_single_image_or_group_has_no_interval() -> None:
    one, several = counts(1, 5), counts(6, 5)
    assert np.isnan(bootstrap_interval(*one)).all()
    assert np.isnan(bootstrap_interval(*several, groups=np.zeros(6, np.int64))).all()
    assert np.isfinite(bootstrap_interval(*several, groups=np.array([0, 0, 0, 1, 1, 1]))).all()
