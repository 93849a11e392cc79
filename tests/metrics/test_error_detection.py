"""Average precision of a low confidence for errors: by hand, and scikit-learn's of the same bins."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from seglight.metrics import ErrorDetection
from seglight.metrics.error_detection import OCTAVES, STEPS, uncertainty_bin

IGNORE = 255


def two_classes(*margins: float) -> Tensor:
    """Logits (1, 2, 1, n) of class 0 by these margins."""
    return torch.stack([torch.tensor(margins), torch.zeros(len(margins))])[None, :, None]


def test_a_case_worked_by_hand() -> None:
    """From the least certain pixel: wrong, right, wrong, right; the precision at the errors is 1 and 2/3."""
    metric = ErrorDetection(IGNORE)
    mask = torch.tensor([[[1, 0, 1, 0, IGNORE]]], dtype=torch.uint8)
    metric.update(two_classes(0.5, 1.0, 2.0, 3.0, 0.1), mask)
    assert float(metric.compute()) == pytest.approx((1 + 2 / 3) / 2)


def test_equal_confidences_are_one_threshold() -> None:
    metric = ErrorDetection(IGNORE)
    metric.update(two_classes(1.0, 1.0, 1.0, 1.0), torch.tensor([[[1, 0, 0, 0]]], dtype=torch.uint8))
    assert float(metric.compute()) == 0.25


def test_without_an_error_it_is_not_defined() -> None:
    metric = ErrorDetection(IGNORE)
    metric.update(two_classes(1.0, 2.0), torch.zeros(1, 1, 2, dtype=torch.uint8))
    assert math.isnan(metric.compute())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_is_scikit_learns_of_the_same_bins(temperature: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 6 * torch.randn(3, 7, 6, 5, generator=generator)
    full = F.interpolate(logits, (48, 40), mode="bilinear", align_corners=False)
    mask = (full + 4 * torch.randn(full.shape, generator=generator)).argmax(1).to(torch.uint8)
    mask[:, :3] = IGNORE
    metric = ErrorDetection(IGNORE, temperature)
    metric.update(logits[:1], mask[:1])
    metric.update(logits[1:], mask[1:])
    kept = mask != IGNORE
    probabilities = (full.double() / temperature).softmax(1)
    rest = 1 - probabilities.amax(1)
    wrong = (probabilities.argmax(1) != mask)[kept]
    binned = uncertainty_bin(rest[kept].float())
    assert float(metric.compute()) == pytest.approx(average_precision_score(wrong, binned), abs=5e-4)
    assert float(metric.compute()) == pytest.approx(average_precision_score(wrong, rest[kept]), abs=3e-3)


def test_bins_are_a_32nd_of_a_halving_wide() -> None:
    values = torch.tensor([0.0, 2.0**-30, 2.0**-24, 0.26, 0.49, 0.51, 0.75, 1.0])
    found = uncertainty_bin(values).tolist()
    assert found[:3] == [0, 0, 0]
    assert found[-1] == OCTAVES * STEPS - 1
    expected = [math.floor((math.log2(value) + OCTAVES) * STEPS) for value in values[3:-1].tolist()]
    assert found[3:-1] == expected
