"""Against distance transforms of scipy.

Covers: ops.contour.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from seglight.losses import BoundaryLoss
from seglight.losses.boundary import signed_distance
from tests.support.loss_cases import IGNORE, SHAPES, assert_equal, drawn, value_and_gradient


def reference(logits: Tensor, mask: Tensor) -> Tensor:
    p, labelled = logits.softmax(1), mask != IGNORE
    total = logits.new_zeros(())
    for image, labels in zip(p, mask.numpy(), strict=True):
        for label, probability in enumerate(image):
            inside, outside = labels == label, (labels != label) & (labels != IGNORE)
            if inside.any() and outside.any():
                distance = np.where(inside, 1 - distance_transform_edt(~outside), distance_transform_edt(~inside))
                total = total + (probability * torch.from_numpy(distance))[torch.from_numpy(labels) != IGNORE].sum()
    return total / labelled.sum()


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_as_by_scipy(shape: str, ignored: float) -> None:
    assert_equal(BoundaryLoss(IGNORE), reference, *drawn(shape, ignored))


def test_by_hand() -> None:
    """A row of classes 0 0 1 1 with p = 1/4 of class 1: its distances are 2 1 0 -1, those of class 0 are -1 0 1 2."""
    logits = torch.zeros(1, 2, 1, 4)
    logits[:, 0] = torch.tensor(3.0).log()
    value, gradient = value_and_gradient(BoundaryLoss(IGNORE), logits, torch.tensor([[[0, 0, 1, 1]]]))
    assert value.item() == pytest.approx((0.25 * 2 + 0.75 * 2) / 4)
    # p (1 - p) (distance - distance of the other) / 4
    expected = 3 / 16 * torch.tensor([3.0, 1.0, -1.0, -3.0]) / 4
    torch.testing.assert_close(gradient[0, 1, 0], expected)


def test_a_single_class_has_no_boundary() -> None:
    logits, mask = drawn("x4")
    value, gradient = value_and_gradient(BoundaryLoss(IGNORE), logits, torch.where(mask != IGNORE, 3, IGNORE))
    assert value == 0
    assert (gradient == 0).all()


def test_distances_are_the_same_to_the_last_digit_wherever_the_memory_lies() -> None:
    """OpenCV's differ with the address of their buffer: the same training would not give the same weights twice."""
    _, mask = drawn("x4", ignored=0)
    inside = mask.numpy()[0] == 2
    outside, within = distance_transform_edt(~inside), distance_transform_edt(inside)
    expected = np.where(inside, np.float32(1) - within.astype(np.float32), outside.astype(np.float32))
    moved = []
    for size in range(50):
        moved.append(np.empty(7 * size + 1, np.uint8))  # the next buffers lie elsewhere
        np.testing.assert_array_equal(signed_distance(inside, np.ones_like(inside)), expected)
