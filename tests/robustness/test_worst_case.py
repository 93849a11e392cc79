"""The worst case over attacks, worked by hand, and against a search over all choices."""

import itertools

import numpy as np

from seglight.ops.iou import mean_iou
from seglight.robustness.worst_case import worst_by_accuracy, worst_by_miou

TRUE = np.array([[90, 10], [90, 10]])
HIT = np.array([[[40, 10], [90, 0]], [[40, 10], [90, 0]]])
"""Two images of 90 pixels of class 0 and 10 of class 1. Attack 0 turns 50 of class 0, attack 1 all of class 1."""

PREDICTED = np.array([[[40, 60], [100, 0]], [[40, 60], [100, 0]]])


def test_worst_by_accuracy_takes_the_fewest_right_pixels_of_each_image() -> None:
    assert worst_by_accuracy(HIT).tolist() == [0, 0]
    assert worst_by_accuracy(HIT[:, ::-1]).tolist() == [1, 1]
    assert worst_by_accuracy(np.array([[[3, 1], [2, 2]]])).tolist() == [0], "the first of equal ones"


def test_worst_by_miou_updates_the_running_counts() -> None:
    """Attack 0 on both: IoU 80/180 and 20/120, mean 0.306. One image each: 130/190 and 10/70, mean 0.414. Attack 1 on
    both: 180/200 and 0/20, mean 0.45. From attack 0, an exchange raises the mean."""
    assert worst_by_miou(HIT, TRUE, PREDICTED).tolist() == [0, 0]
    total_hit = HIT[:, 0].sum(0)
    assert float(mean_iou(total_hit, TRUE.sum(0), PREDICTED[:, 0].sum(0))) == (80 / 180 + 20 / 120) / 2


def test_worst_by_miou_differs_from_the_worst_by_accuracy() -> None:
    """100 pixels, 98 of class 0 and 2 of class 1. Attack 0 turns 5 pixels of class 0 into class 2, which no pixel is
    of; attack 1 turns both pixels of class 1 into class 0. Accuracy: 95 and 98. IoU: 93/98, 1, 0 and 98/100, 0: means
    0.650 and 0.490."""
    true = np.array([[98, 2, 0]])
    hit = np.array([[[93, 2, 0], [98, 0, 0]]])
    predicted = np.array([[[93, 2, 5], [100, 0, 0]]])
    assert worst_by_accuracy(hit).tolist() == [0]
    assert worst_by_miou(hit, true, predicted).tolist() == [1]


def test_no_exchange_for_one_image_lowers_the_mean_iou() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        true = generator.integers(0, 50, (4, 3))
        hit = generator.integers(0, true[:, None] + 1, (4, 3, 3))
        predicted = hit + generator.integers(0, 20, hit.shape)
        chosen = worst_by_miou(hit, true, predicted)

        def score(choice: tuple[int, ...], hit=hit, true=true, predicted=predicted) -> float:  # type: ignore[no-untyped-def]
            image = np.arange(4)
            return float(mean_iou(hit[image, choice].sum(0), true.sum(0), predicted[image, choice].sum(0)))

        found = score(tuple(chosen))
        assert found <= score(tuple(worst_by_accuracy(hit)))
        for k, other in itertools.product(range(4), range(3)):
            assert found <= score((*chosen[:k], other, *chosen[k + 1 :])) + 1e-12
        every = [score(choice) for choice in itertools.product(range(3), repeat=4)]
        assert found <= np.quantile(every, 0.05), "among the lowest of all 81 choices"


def test_images_without_labels_change_nothing() -> None:
    nothing = np.zeros((1, 2, 2), np.int64)
    assert worst_by_accuracy(nothing).tolist() == [0]
    assert worst_by_miou(nothing, nothing[:, 0], nothing).tolist() == [0]
