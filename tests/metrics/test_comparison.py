"""Comparison of sides: corrections worked by hand, and the coverage of intervals on simulated images."""

import math

import numpy as np
import pytest

from seglight.metrics.comparison import (
    MIOU,
    all_differences,
    difference,
    holm,
    image_scores,
    letters,
    scores,
)
from seglight.metrics.jackknife import Estimates, jackknife
from tests.support.simulated_nets import ALONE, DRIVES, STREET, trained, with_miou


def test_holm_worked_by_hand() -> None:
    """The smallest times four, the next one times three, ...; none smaller than one before it, none above 1."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([[0.5, 0.6]])) == pytest.approx(np.array([[1.0, 1.0]]))


def test_holm_leaves_out_what_is_not_known() -> None:
    found = holm(np.array([np.nan, 0.02, 0.03]))
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.04, 0.04])
    assert np.isnan(holm(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("sides", "apart", "expected"),
    [
        (2, [], ["a", "a"]),
        (2, [(0, 1)], ["a", "b"]),
        (3, [(0, 2)], ["a", "ab", "b"]),
        (4, [(0, 2), (0, 3), (1, 3)], ["a", "ab", "bc", "c"]),
        (4, [(0, 3), (1, 3), (2, 3)], ["a", "a", "a", "b"]),
    ],
)
def test_letters_worked_by_hand(sides: int, apart: list[tuple[int, int]], expected: list[str]) -> None:
    assert letters(sides, apart) == expected


def test_letters_share_one_exactly_if_they_are_alike() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        pairs = [(a, b) for a in range(6) for b in range(a + 1, 6)]
        apart = {pair for pair in pairs if rng.random() < 0.5}
        found = letters(6, apart)
        assert {pair for pair in pairs if not set(found[pair[0]]) & set(found[pair[1]])} == apart


def test_scores_and_scores_of_images() -> None:
    hit, true, predicted = np.array([[6, 3], [4, 2]]), np.array([[8, 4], [4, 4]]), np.array([[7, 5], [6, 2]])
    assert scores(hit, true, predicted)[0] == pytest.approx([(6 / 9 + 3 / 6) / 2, 9 / 12, 6 / 9, 3 / 6])
    both = [(hit, true, predicted), (true, true, true)]
    assert image_scores(both) == pytest.approx([((6 / 9 + 3 / 6) / 2 + 1) / 2, ((4 / 6 + 2 / 4) / 2 + 1) / 2])


ONE, OTHER = with_miou(STREET, 0.70), with_miou(STREET, 0.65)
CERTAINTY = 4000.0
"""Trainings of one recipe have a standard deviation of the mIoU of 0.009, as three of them had on CamVid."""


def sides(rows: np.ndarray, group: np.ndarray, trainings: int, seed: int) -> tuple[Estimates, Estimates]:
    """Estimates (trials, trainings, ...) of the first nets, and of the others, on the same images.

    Args:
        rows: Expected rows (trials, nets, C, C).
        group: Group of each image.
        trainings: Number of nets of the first side.
        seed: Seed of the images.
    """
    counts = STREET.counted(np.random.default_rng(seed), rows, group)
    one = jackknife(scores, *(part[:, :trainings] for part in counts))
    return one, jackknife(scores, *(part[:, trainings:] for part in counts))


def covers(one: Estimates, other: Estimates, truth: float) -> float:
    found = difference(one, other)
    return float(((found.low[:, MIOU] <= truth) & (truth <= found.high[:, MIOU])).mean())


@pytest.mark.parametrize("group", [ALONE, DRIVES], ids=["alone", "drives"])
def test_interval_of_a_difference_covers_the_truth(group: np.ndarray) -> None:
    """Of 250 trials, three standard errors around 95 %."""
    one, other = sides(np.broadcast_to(np.stack([ONE, OTHER]), (250, 2, *ONE.shape)), group, 1, seed=1)
    assert 0.91 <= covers(one, other, 0.05) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "rows"),
    [(ALONE, (ONE, ONE)), (DRIVES, (ONE, OTHER))],
    ids=["alone, no difference", "drives"],
)
def test_interval_covers_the_truth_in_93_to_97_percent(group: np.ndarray, rows: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = sides(np.broadcast_to(np.stack(rows), (1000, 2, *ONE.shape)), group, 1, seed=2)
    truth = float(STREET.miou(rows[0]) - STREET.miou(rows[1]))
    assert 0.93 <= covers(one, other, truth) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [(2, 2), (3, 1)])
def test_interval_of_recipes_covers_the_truth_in_93_to_97_percent(trainings: tuple[int, int]) -> None:
    """Seeds and images are drawn anew in each trial; the truth is the mean of both recipes over many seeds."""
    rng = np.random.default_rng(3)
    many = [STREET.miou(trained(rng, rows, CERTAINTY, (20_000,))) for rows in (ONE, OTHER)]
    assert many[0].std() == pytest.approx(0.009, abs=0.001)
    rows = [trained(rng, rows, CERTAINTY, (1000, count)) for rows, count in zip((ONE, OTHER), trainings, strict=True)]
    one, other = sides(np.concatenate(rows, 1), DRIVES, trainings[0], seed=4)
    assert 0.93 <= covers(one, other, many[0].mean() - many[1].mean()) <= 0.97


def judged(rows: np.ndarray, trainings: int, group: np.ndarray) -> np.ndarray:
    """Whether each trial tells the sides apart, 1 for the first, -1 for the second, 0 for neither."""
    one, other = sides(rows, group, trainings, seed=5)
    (found,) = all_differences([one, other], 0.01).values()
    return np.where(found.p[:, MIOU] < 0.05, np.sign(found.values[:, MIOU]), 0)


@pytest.mark.parametrize("trainings", [1, 3])
def test_two_seeds_of_one_recipe_cannot_be_told_apart(trainings: int) -> None:
    rows = trained(np.random.default_rng(6), ONE, CERTAINTY, (60, 2 * trainings))
    assert (judged(rows, trainings, DRIVES) != 0).mean() <= 0.1


@pytest.mark.parametrize("trainings", [1, 3])
def test_0_70_is_better_than_0_65(trainings: int) -> None:
    rng = np.random.default_rng(7)
    rows = np.concatenate([trained(rng, rows, CERTAINTY, (60, trainings)) for rows in (ONE, OTHER)], 1)
    found = judged(rows, trainings, np.arange(300))
    assert (found > 0).mean() >= 0.9
    assert not (found < 0).any()
