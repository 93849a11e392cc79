"""Dice and Tversky against segmentation_models.pytorch, and cases by hand.

Covers: losses.by_class, losses.dice, losses.tversky.
"""

from functools import partial

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor

from seglight.losses import Dice, Tversky
from tests.support.loss_cases import IGNORE, SHAPES, Loss, assert_equal, drawn, value_and_gradient

BOTH = {
    "dice": (Dice, smp.losses.DiceLoss),
    "smooth": (partial(Dice, smooth=20.0), partial(smp.losses.DiceLoss, smooth=20.0)),
    "tversky": (partial(Tversky, alpha=0.2, beta=0.9), partial(smp.losses.TverskyLoss, alpha=0.2, beta=0.9)),
}


def theirs(loss: type, mask: Tensor, classes: int) -> Loss:
    """Their mean is over all classes, ours over those that are present."""
    module = loss("multiclass", ignore_index=IGNORE)
    present = len(mask[mask != IGNORE].unique())
    return lambda logits, labels: module(logits, labels) * classes / present


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pair", BOTH)
def test_equal_to_smp(pair: str, shape: str) -> None:
    ours, reference = BOTH[pair]
    logits, mask = drawn(shape)
    assert_equal(ours(IGNORE), theirs(reference, mask, logits.shape[1]), logits, mask)


def test_absent_classes_are_left_out() -> None:
    logits, mask = drawn("x4", absent=(0, 3))
    assert not (mask == 3).any()
    assert_equal(Dice(IGNORE), theirs(smp.losses.DiceLoss, mask, 5), logits, mask)


def test_gamma_is_the_root_of_each_class() -> None:
    logits, mask = drawn("x4", absent=(2,))

    def reference(full: Tensor, labels: Tensor) -> Tensor:
        valid, p = labels != IGNORE, full.softmax(1)
        losses = []
        for label in (0, 1, 3, 4):
            own, others = p[:, label][labels == label], p[:, label][valid & (labels != label)]
            index = own.sum() / (own.sum() + 0.3 * others.sum() + 0.7 * (1 - own).sum())
            losses.append((1 - index) ** 0.75)
        return torch.stack(losses).mean()

    assert_equal(Tversky(IGNORE, gamma=4 / 3), reference, logits, mask)


def test_a_perfect_class_has_a_finite_gradient_under_a_root() -> None:
    logits = torch.tensor([[[[99.0, -99.0]], [[-99.0, 99.0]]]])
    value, gradient = value_and_gradient(Tversky(IGNORE, gamma=4 / 3), logits, torch.tensor([[[0, 1]]]))
    assert value < 1e-4
    assert gradient.isfinite().all()


def test_by_hand() -> None:
    """Two pixels of class 0 with p = 3/4 and 1/4 of it, one of class 1 with p = 1/2: scores 2 / 3.5 and 1 / 2.5."""
    log3 = torch.tensor(3.0).log().item()
    logits = torch.tensor([[[[log3, 0.0, 0.0, 7.0]], [[0.0, log3, 0.0, 0.0]]]])
    mask = torch.tensor([[[0, 0, 1, IGNORE]]])
    assert Dice(IGNORE)(logits, mask).item() == pytest.approx(1 - (2 / 3.5 + 1 / 2.5) / 2)
    # index of class 0: tp 1, fp 1/2, fn 1; of class 1: tp 1/2, fp 1, fn 1/2
    indices = 1 / (1 + 0.25 + 2), 0.5 / (0.5 + 0.5 + 1)
    assert Tversky(IGNORE, alpha=0.5, beta=2.0)(logits, mask).item() == pytest.approx(1 - sum(indices) / 2)
