"""Cross-entropy, its hard pixels and the focal loss against torch's own, and a full sort.

Covers: losses.cross_entropy, losses.focal, losses.ohem.
"""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits
from torch import Tensor

from seglight.losses import CrossEntropy, Focal, OHEMCrossEntropy
from tests.support.loss_cases import IGNORE, SHAPES, assert_equal, drawn, value_and_gradient


def weights(classes: int) -> list[float]:
    return torch.linspace(0, 3, classes).tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_as_torch(weighted: bool, smoothing: float, shape: str) -> None:
    logits, mask = drawn(shape)
    weight = weights(logits.shape[1]) if weighted else None
    reference = partial(
        F.cross_entropy, weight=None if weight is None else torch.tensor(weight, dtype=torch.float64),
        ignore_index=IGNORE, label_smoothing=smoothing,
    )  # fmt: skip
    assert_equal(CrossEntropy(IGNORE, weight, smoothing), reference, logits, mask)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_as_smp(gamma: float, shape: str) -> None:
    def reference(full: Tensor, labels: Tensor) -> Tensor:
        valid = labels != IGNORE
        pixels = full.movedim(1, -1)[valid]
        return softmax_focal_loss_with_logits(pixels, labels[valid], gamma)

    assert_equal(Focal(IGNORE, gamma), reference, *drawn(shape))


def test_focal_with_class_weights_is_a_mean_over_pixels() -> None:
    logits, mask = drawn("x4")
    alpha = torch.tensor(weights(5), dtype=torch.float64)

    def reference(full: Tensor, labels: Tensor) -> Tensor:
        nll = F.cross_entropy(full, labels, ignore_index=IGNORE, reduction="none")[labels != IGNORE]
        return (alpha[labels[labels != IGNORE]] * (1 - torch.exp(-nll)) ** 2 * nll).mean()

    assert_equal(Focal(IGNORE, 2.0, alpha.tolist()), reference, logits, mask)


def test_focal_of_a_certain_pixel_is_finite() -> None:
    logits = torch.tensor([[[[200.0]], [[0.0]]]])
    for gamma in (0.0, 0.5, 2.0):
        value, gradient = value_and_gradient(Focal(IGNORE, gamma), logits, torch.tensor([[[0]]]))
        assert value == 0
        assert (gradient == 0).all()


def hard_pixels(logits: Tensor, mask: Tensor, threshold: float, kept: int, weight: Tensor | None = None) -> Tensor:
    """By a sort of the losses of all labelled pixels; those equal to the last that is kept count too."""
    losses = F.cross_entropy(logits, mask, ignore_index=IGNORE, reduction="none")[mask != IGNORE]
    ordered = losses.detach().sort(descending=True).values
    last = ordered[min(kept, len(ordered)) - 1]
    hard = losses > -math.log(threshold)
    if hard.sum() < kept:
        hard = losses >= last
    share = hard.to(losses) if weight is None else hard * weight[mask[mask != IGNORE]]
    return (losses * share).sum() / share.sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("threshold", "share"), [(0.7, 0.0), (0.7, 0.9), (0.01, 0.5), (1.0, 0.3), (0.5, 2.0)]
)  # of the pixels that are kept: the threshold decides, the order does, and all are too few
def test_hard_pixels_as_by_a_sort(threshold: float, share: float, shape: str) -> None:
    logits, mask = drawn(shape)
    kept = int(share * (mask != IGNORE).sum()) + 1
    weight = torch.tensor(weights(logits.shape[1]), dtype=torch.float64)
    for own, theirs in ((None, None), (weight.tolist(), weight)):
        loss = OHEMCrossEntropy(IGNORE, threshold, kept, own)
        assert_equal(loss, partial(hard_pixels, threshold=threshold, kept=kept, weight=theirs), logits, mask)


def test_ties_with_the_last_that_is_kept_count() -> None:
    """Losses log 2 and log 4, two each, all easy: of two that are kept the last ties with none, of three with one."""
    odds = torch.tensor([1.0, 1.0, 1 / 3, 1 / 3]).log()
    logits = torch.stack((odds, torch.zeros(4))).view(1, 2, 1, 4)
    mask = torch.zeros(1, 1, 4, dtype=torch.uint8)
    two, three = (OHEMCrossEntropy(IGNORE, 0.001, kept)(logits, mask).item() for kept in (2, 3))
    assert two == pytest.approx(math.log(4))
    assert three == pytest.approx((2 * math.log(4) + 2 * math.log(2)) / 4)
