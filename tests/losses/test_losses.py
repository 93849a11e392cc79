"""What every loss keeps to, and what each has of its own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seglight.errors import UserError
from seglight.losses import CrossEntropy

LOSSES = {"CrossEntropy": CrossEntropy, "weighted": lambda ignore: CrossEntropy(ignore, [1, 2, 3, 4, 5])}


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> nn.Module:
    return LOSSES[request.param](255)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(2, 5, 8, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.fixture
def mask() -> torch.Tensor:
    return torch.randint(0, 5, (2, 31, 36), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_scalar_with_finite_gradient_for_every_pixel(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> None:
    value = loss(logits, mask)
    value.backward()
    assert value.shape == ()
    assert logits.grad.isfinite().all()
    assert (logits.grad.abs().sum(1) > 0).all()


def test_a_step_down_the_gradient_lowers_it(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> None:
    value = loss(logits, mask)
    (gradient,) = torch.autograd.grad(value, logits)
    assert loss(logits - gradient, mask) < value


def test_gradient_is_zero_over_ignored_pixels(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> None:
    mask[:, :16] = 255  # the upper half, but for the row of logits that reaches below
    loss(logits, mask).backward()
    assert (logits.grad[:, :, :3] == 0).all()
    assert (logits.grad[:, :, 4:] != 0).any()


def test_all_ignored_is_zero(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> None:
    value = loss(logits, torch.full_like(mask, 255))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_autocast_computes_in_float32(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> None:
    plain = loss(logits, mask)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = loss(logits, mask)
        coarse = loss(logits.bfloat16(), mask)
    assert plain.dtype == mixed.dtype == coarse.dtype == torch.float32
    assert mixed == plain
    torch.testing.assert_close(coarse, plain, rtol=1e-2, atol=0)


def test_state_dict_is_empty(loss: nn.Module) -> None:
    assert not loss.state_dict()  # or else a checkpoint would depend on the loss


def test_class_weights_as_torch(logits: torch.Tensor, mask: torch.Tensor) -> None:
    weights = [0.5, 1.0, 2.0, 0.0, 3.0]
    mask[0, :5] = 255
    upsampled = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
    expected = F.cross_entropy(upsampled, mask.long(), torch.tensor(weights), ignore_index=255)
    torch.testing.assert_close(CrossEntropy(255, weights)(logits, mask), expected, rtol=1e-5, atol=0)


def test_class_weights_of_another_length(logits: torch.Tensor, mask: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"loss.class_weights has 3 weights for 5 classes: give one a class"):
        CrossEntropy(255, [1, 2, 3])(logits, mask)
