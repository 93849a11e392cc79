"""The contract of every loss.

Covers: losses.banded_loss.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.losses import CrossEntropy, Dice, Focal, LovaszSoftmax, OHEMCrossEntropy, Tversky, band_pass
from seglight.losses import WeightedSum as Sum
from seglight.ops.bands import full_precision
from tests.support.loss_cases import LOSSES, WEIGHTS, drawn, value_and_gradient


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> nn.Module:
    return LOSSES[request.param](255)


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 5, 8, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.fixture
def mask() -> Tensor:
    return torch.randint(0, 5, (2, 31, 36), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_scalar_with_finite_gradient_for_every_pixel(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    value = loss(logits, mask)
    value.backward()
    assert value.shape == ()
    assert logits.grad.isfinite().all()
    assert (logits.grad.abs().sum(1) > 0).all()


def test_a_step_down_the_gradient_lowers_it(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    value = loss(logits, mask)
    (gradient,) = torch.autograd.grad(value, logits)
    assert loss(logits - gradient, mask) < value


def test_gradient_is_zero_over_ignored_pixels(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    mask[:, :16] = 255  # the upper half; the last row of logits over it also reaches below
    loss(logits, mask).backward()
    assert (logits.grad[:, :, :3] == 0).all()
    assert (logits.grad[:, :, 4:] != 0).any()


def test_ignored_pixels_change_nothing(loss: nn.Module) -> None:
    logits, mask = drawn("same")
    before, _ = value_and_gradient(loss, *first_class_weighted(logits, mask))
    logits[(mask == 255).unsqueeze(1).expand_as(logits)] = 77.0
    after, _ = value_and_gradient(loss, *first_class_weighted(logits, mask))
    torch.testing.assert_close(after, before, rtol=1e-6, atol=0)


def first_class_weighted(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Four classes and one that never occurs, because some of the losses have five weights."""
    return F.pad(logits, (0, 0, 0, 0, 0, 1), value=-5.0), mask


def test_all_ignored_is_zero(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    value = loss(logits, torch.full_like(mask, 255))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_autocast_computes_in_float32(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    plain = loss(logits, mask)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = loss(logits, mask)
        coarse = loss(logits.bfloat16(), mask)
    assert plain.dtype == mixed.dtype == coarse.dtype == torch.float32
    assert mixed == plain
    torch.testing.assert_close(coarse, plain, rtol=1e-2, atol=0)


def test_the_gradient_of_the_gradient_is_refused(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    """It would be 0, in silence."""
    with pytest.raises(RuntimeError, match="no second derivative: call it without create_graph"):
        torch.autograd.grad(loss(logits, mask), logits, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_are_read_in_float32(loss: nn.Module, dtype: torch.dtype, logits: Tensor, mask: Tensor) -> None:
    coarse = logits.detach().to(dtype)
    value, gradient = value_and_gradient(loss, coarse, mask)
    expected, exact = value_and_gradient(loss, coarse.float(), mask)
    assert value == expected
    assert gradient.dtype == dtype
    assert torch.equal(gradient, exact.to(dtype))


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_any_integer_mask(loss: nn.Module, dtype: torch.dtype, logits: Tensor, mask: Tensor) -> None:
    mask[:, 5:9] = 255
    for own, other in zip(
        value_and_gradient(loss, logits, mask), value_and_gradient(loss, logits, mask.to(dtype)), strict=True
    ):
        assert torch.equal(own, other)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("labels", [False, True], ids=["loss", "with labels"])
def test_logits_that_are_not_finite_make_it_nan(
    loss: nn.Module, bad: float, labels: bool, logits: Tensor, mask: Tensor
) -> None:
    """Their softmax is NaN: bins of errors have a place for that too, and would hide it."""
    few = logits.detach().clone()
    few[1, 2, 4, 5] = bad
    for wrong in (few, torch.full_like(few, bad)):
        assert (loss.with_labels(wrong, mask)[0] if labels else loss(wrong, mask)).isnan()


def test_no_images_are_zero(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    value = loss(logits[:0], mask[:0])
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_a_mask_of_a_type_that_torch_only_stores(
    loss: nn.Module, dtype: torch.dtype, logits: Tensor, mask: Tensor
) -> None:
    with pytest.raises(
        UserError, match=r"^the mask is uint\d\d .*: class indices have to be uint8, int8, .*mask.long()"
    ):
        loss(logits, mask.to(dtype))


def test_images_without_pixels(loss: nn.Module, logits: Tensor, mask: Tensor) -> None:
    for small, labels in ((logits, mask[:, :0]), (logits, mask[..., :0]), (logits[:, :, :0], mask)):
        with pytest.raises(UserError, match="there is nothing to compare"):
            loss(small, labels)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_without_gradient_the_value_is_the_same(
    loss: nn.Module, without: Callable[[], AbstractContextManager[None]], logits: Tensor, mask: Tensor
) -> None:
    with without():
        value = loss(logits, mask)
    assert not value.requires_grad
    assert value == loss(logits, mask)


@pytest.mark.parametrize("size", [(32, 36), (31, 36)], ids=["bands show labels", "torch gives them"])
def test_labels_beside_it(loss: nn.Module, logits: Tensor, mask: Tensor, size: tuple[int, int]) -> None:
    """They change nothing, and are those of the upsampled logits."""
    mask = F.pad(mask, (0, 0, 0, size[0] - 31), value=255)
    value, labels = loss.with_labels(logits, mask)
    assert torch.equal(value, loss(logits, mask))
    slopes = (torch.autograd.grad(each, logits)[0] for each in (value, loss(logits, mask)))
    assert torch.equal(*slopes)
    assert torch.equal(labels.long(), F.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(1))


def test_denominator_is_the_labelled_pixels_or_their_weight(loss: nn.Module, mask: Tensor) -> None:
    mask[0, :7] = 255
    weight = loss.weight if isinstance(loss, CrossEntropy) else None
    expected = (mask != 255).sum() if weight is None else sum(WEIGHTS[label] for label in mask[mask != 255].tolist())
    assert loss.denominator(mask) == expected


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_the_matmul_precision_is_set_once_around_a_loss_and_changes_nothing(
    loss: nn.Module, precision: str, logits: Tensor, mask: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF32 and bfloat16 products are allowed for the net only."""
    value, gradient = value_and_gradient(loss, logits, mask)
    entered = []

    @contextmanager
    def counted() -> Iterator[None]:
        entered.append(precision)
        with full_precision():
            yield

    monkeypatch.setattr(band_pass, "full_precision", counted)
    torch.set_float32_matmul_precision(precision)
    try:
        again, same = value_and_gradient(loss, logits, mask)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision("highest")
    assert entered == [precision]
    assert torch.equal(again, value)
    assert torch.equal(same, gradient)


def test_state_dict_is_empty(loss: nn.Module) -> None:
    assert not loss.state_dict()  # or else a checkpoint would depend on the loss


@pytest.mark.parametrize("loss", [CrossEntropy, OHEMCrossEntropy, Focal])
def test_class_weights_of_another_length(loss: Callable[..., nn.Module], logits: Tensor, mask: Tensor) -> None:
    wrong = partial(loss, class_weights=[1, 2, 3])
    with pytest.raises(UserError, match=r"loss.class_weights has 3 weights for 5 classes: give one for each class"):
        wrong(255)(logits, mask)
    with pytest.raises(UserError, match=r"loss.class_weights has 3 weights for 5 classes: give one for each class"):
        Sum(255, [wrong], [1.0])(logits, mask)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (partial(LovaszSoftmax, bins=0), "loss.bins is 0: it has to be at least 1"),
        (partial(Focal, gamma=-1.0), "loss.gamma is -1: it has to be at least 0"),
        (partial(Tversky, gamma=0.0), "loss.gamma is 0: it has to be at least 0.01"),
        (partial(Tversky, beta=-0.1), "loss.beta is -0.1: it has to be at least 0"),
        (partial(Dice, smooth=None), "loss.smooth is None: it has to be at least 0"),
        (partial(Dice, smooth=-1.0), "loss.smooth is -1: it has to be at least 0"),
        (partial(OHEMCrossEntropy, threshold=70), "loss.threshold is 70: it has to be between 0 and 1"),
        (
            partial(CrossEntropy, label_smoothing=float("nan")),
            "loss.label_smoothing is nan: it has to be between 0 and 1",
        ),
    ],
)
def test_numbers_out_of_bounds(loss: Callable[..., object], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        loss(255)
