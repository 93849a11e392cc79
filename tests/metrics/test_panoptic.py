"""Panoptic quality against the published code, boundary PQ against scipy's erosion, on 1, 2 and 3 processes.

Covers: metrics.panoptic_counts.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from scipy import stats

from seglight.errors import UserError
from seglight.metrics import PanopticQuality
from seglight.metrics.panoptic_counts import UNIT, PanopticScores, mean_pq, pq_interval
from tests.support.panoptic_cases import Case, boundary_counts, drawn, published_counts, published_means
from tests.support.processes import in_processes

CLASSES = 7


def counted(cases: list[Case], ratio: float | None = None) -> PanopticQuality:
    metric = PanopticQuality(CLASSES, ratio)
    for case in cases:
        metric.update(*map(torch.from_numpy, case))
    return metric


def as_floats(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / np.array([UNIT, 1, 1, 1])


@pytest.mark.parametrize(
    "options",
    [{}, {"void": 0.0, "crowds": 0.0}, {"void": 0.6}, {"crowds": 0.5}, {"number": 120, "size": (200, 90)}],
    ids=["usual", "all labelled", "mostly void", "crowded", "many"],
)
def test_counts_and_means_equal_the_published_code(options: dict[str, float], tmp_path: Path) -> None:
    cases = [drawn(seed, CLASSES, **options) for seed in range(12)]
    expected = published_counts(cases, CLASSES, tmp_path)
    assert (expected.sum(0) > 3).all(), "a case without matches, or without mistakes, tests too little"
    scores = counted(cases).compute()
    np.testing.assert_allclose(as_floats(scores.counts), expected, rtol=0, atol=1e-11)
    for name, classes in {"All": None, "Things": (1, 3, 5), "Stuff": (0, 2, 4, 6)}.items():
        assert scores.mean(classes) == pytest.approx(published_means(expected)[name], abs=1e-12)


@pytest.mark.parametrize("void", [0.0, 0.2])
@pytest.mark.parametrize("ratio", [0.001, 0.03])
def test_boundary_counts_equal_erosion_one_segment_at_a_time(void: float, ratio: float) -> None:
    cases = [drawn(seed, CLASSES, (50, 40), void, number=6) for seed in range(10)]
    expected = np.array([boundary_counts(case, CLASSES, ratio) for case in cases]).sum(0)
    assert expected.sum(0).all()
    found = counted(cases, ratio).compute()
    np.testing.assert_allclose(as_floats(found.counts), expected, rtol=0, atol=1e-11)
    assert found.mean()[0] < counted(cases).compute().mean()[0]


def test_by_hand() -> None:
    """Class 0: IoU 4 / 5 without the unlabelled pixel. Class 1: one missed, one excused. Class 2: one wrong."""
    segments = torch.tensor([[1, 1, 1, 1, 0, 2, 2, 2, 0, 0, 0, 2]])
    predicted = torch.tensor([[1, 1, 1, 1, 1, 1, 2, 0, 3, 3, 3, 3]])
    metric = PanopticQuality(3)
    metric.update(predicted, torch.tensor([0, 2, 1]), segments, torch.tensor([0, 1]))
    scores = metric.compute()
    assert as_floats(scores.counts).tolist() == [[pytest.approx(0.8), 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert scores.pq.tolist() == [pytest.approx(0.8), 0, 0]
    assert scores.sq.tolist() == [pytest.approx(0.8), 0, 0]
    assert scores.rq.tolist() == [1, 0, 0]
    assert scores.mean()[0] == pytest.approx(0.8 / 3)


def test_classes_that_are_not_there_and_segments_without_pixels_count_for_nothing() -> None:
    metric = PanopticQuality(3)
    nothing = torch.zeros(4, 5, dtype=torch.int32)
    metric.update(nothing, torch.tensor([2, 1]), nothing, torch.tensor([1]))
    metric.update(nothing, torch.tensor([], dtype=torch.int64), nothing, torch.tensor([], dtype=torch.int64))
    assert not metric.compute().counts.any()
    assert np.isnan(metric.compute().pq).all()
    assert np.isnan(metric.compute().mean()).all()
    metric.update(nothing + 1, torch.tensor([1]), nothing + 1, torch.tensor([1]))
    assert metric.compute().mean() == (1, 1, 1)
    assert metric.image_counts().shape == (3, 3, 4)
    metric.reset()
    assert metric.image_counts().shape == (0, 3, 4)


def test_more_pairs_of_segments_than_are_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [drawn(seed, CLASSES) for seed in range(3)]
    expected = counted(cases, 0.02).image_counts()
    monkeypatch.setattr("seglight.metrics.panoptic.MOST_CELLS", 0)
    np.testing.assert_array_equal(counted(cases, 0.02).image_counts(), expected)


def test_numbers_and_classes_that_do_not_fit_are_refused() -> None:
    metric = PanopticQuality(3)
    one = torch.ones(2, 2, dtype=torch.int32)
    with pytest.raises(UserError, match="numbers 1 to 1, and 0 of them have a class"):
        metric.update(one, torch.tensor([], dtype=torch.int64), one, torch.tensor([0]))
    with pytest.raises(UserError, match="labelled segment is of class 3, but there are 3 classes"):
        metric.update(one, torch.tensor([0]), one, torch.tensor([3]))
    with pytest.raises(UserError, match="maps"):
        metric.update(one, torch.tensor([0]), one[:1], torch.tensor([0]))


def in_turn(rank: int, cases: list[Case], processes: int, expected: NDArray[np.int64]) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    metric = counted(cases[rank::processes])
    own = sum(map(len, metric.rows))
    np.testing.assert_array_equal(metric.image_counts(), expected)
    np.testing.assert_array_equal(metric.compute().counts, expected.sum(0))
    assert sum(map(len, metric.rows)) == own, "those of this process again"
    dist.destroy_process_group()


@pytest.mark.parametrize(("processes", "images"), [(2, 5), (3, 2)])
def test_counts_are_the_same_on_any_number_of_processes(processes: int, images: int) -> None:
    cases = [drawn(seed, CLASSES) for seed in range(images)]
    in_processes(processes, in_turn, cases, processes, counted(cases).image_counts())


def test_interval_over_images() -> None:
    """For one class with as many segments in each image, the mean is that of the images: Student's interval of it."""
    rng = np.random.default_rng(0)
    images = np.zeros((9, 1, 4), np.int64)
    images[:, 0, 1] = 4
    images[:, 0, 0] = UNIT * rng.uniform(2, 4, 9)
    shares = images[:, 0, 0] / UNIT / 4
    student = stats.t.interval(0.95, 8, shares.mean(), stats.sem(shares))
    low, high = pq_interval(images)
    assert low < shares.mean() < high
    # the degrees of freedom are those of the spread of the squares, 8 at most
    assert high - low >= (student[1] - student[0]) * (1 - 1e-9)
    assert high - low < 2 * (student[1] - student[0])
    assert mean_pq(*np.moveaxis(images.sum(0), -1, 0)) == pytest.approx(shares.mean())
    assert np.isnan(pq_interval(images[:1])).all()


def test_scores_of_sums() -> None:
    scores = PanopticScores.of(np.array([[3 * UNIT // 2, 2, 1, 1], [0, 0, 0, 0]]))
    assert scores.pq[0] == pytest.approx(1.5 / 3)
    assert scores.sq[0] * scores.rq[0] == pytest.approx(scores.pq[0])
    assert np.isnan(scores.pq[1])
