"""The losses as functions: cross-entropy against torch's on full-resolution logits, the others against the classes.

The classes have their references in the files named after them.
"""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seglight.errors import UserError
from seglight.losses import BoundaryLoss, Dice, Focal, LovaszSoftmax, OHEMCrossEntropy, Tversky, functional
from seglight.losses.functional import ohem_cross_entropy, upsampled_cross_entropy

IGNORE = 255
SIZES = {
    "x4": ((6, 8), (24, 32)),
    "odd": ((7, 5), (53, 37)),
    "many_bands": ((13, 9), (100, 70)),
    "same": ((24, 18), (24, 18)),
    "same_height": ((33, 9), (33, 35)),
    "same_width": ((9, 33), (35, 33)),
    "one_pixel": ((1, 1), (19, 3)),
}


def make(classes: int, small: tuple[int, int], large: tuple[int, int], ignored: float = 0.2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(2, classes, *small, generator=generator)
    mask = torch.randint(0, classes, (2, *large), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < ignored] = IGNORE
    return logits, mask


def reference(logits: Tensor, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    upsampled = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(upsampled, mask.long(), weight, ignore_index=IGNORE)


def assert_same(logits: Tensor, mask: Tensor, weight: Tensor | None = None, tolerance: float = 1e-5) -> None:
    """Value relative to itself, gradient relative to its largest entry."""
    theirs = logits.detach().float().clone().requires_grad_()
    expected = reference(theirs, mask, weight)
    ours = logits.detach().requires_grad_()
    actual = upsampled_cross_entropy(ours, mask, ignore_index=IGNORE, weight=weight)
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=0)
    (expected_gradient,) = torch.autograd.grad(expected, theirs)
    (gradient,) = torch.autograd.grad(actual, ours)
    assert gradient.dtype == logits.dtype
    largest = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.float(), expected_gradient, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("classes", [2, 11, 19, 150, 300])
def test_equals_cross_entropy_of_upsampled_logits(classes: int, size: str) -> None:
    assert_same(*make(classes, *SIZES[size]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("size", ["odd", "same"])
def test_class_weights_make_a_weighted_mean(size: str, dtype: torch.dtype) -> None:
    logits, mask = make(11, *SIZES[size])
    assert_same(logits, mask.to(dtype), torch.linspace(0, 3, 11))


Reduction = Literal["mean", "sum", "none"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("size", ["x4", "odd"])
def test_smoothing_and_reductions(size: str, reduction: Reduction, smoothing: float, weighted: bool) -> None:
    logits, mask = make(11, *SIZES[size])
    weight = torch.linspace(0.2, 3, 11) if weighted else None
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()
    actual = upsampled_cross_entropy(
        ours, mask, ignore_index=IGNORE, weight=weight, label_smoothing=smoothing, reduction=reduction
    )
    expected = F.cross_entropy(
        F.interpolate(theirs, mask.shape[-2:], mode="bilinear", align_corners=False),
        mask,
        None if weight is None else weight.double(),
        ignore_index=IGNORE,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)
    along = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(actual, ours, along)
    (expected_gradient,) = torch.autograd.grad(expected, theirs, along.double())
    largest = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=1e-5 * largest)


def by_sorting(losses: Tensor, mask: Tensor, threshold: float, min_kept: int) -> Tensor:
    """The mean over the hard pixels, found as the papers' code finds them: by sorting all probabilities."""
    kept = losses[mask != IGNORE]
    ordered = kept.detach().sort(descending=True).values
    least = min(float(ordered[min(min_kept, len(ordered)) - 1]), -math.log(threshold) if threshold else math.inf)
    return kept[kept >= least].mean()


@pytest.mark.parametrize(("threshold", "min_kept"), [(0.7, 100), (0.01, 700), (0.0, 50), (0.7, 10**6), (1.0, 1)])
def test_hard_examples(threshold: float, min_kept: int) -> None:
    logits, mask = make(11, *SIZES["odd"])
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    actual = ohem_cross_entropy(ours, mask, ignore_index=IGNORE, threshold=threshold, min_kept=min_kept)
    upsampled = F.interpolate(theirs, mask.shape[-2:], mode="bilinear", align_corners=False)
    losses = F.cross_entropy(upsampled, mask, ignore_index=IGNORE, reduction="none")
    expected = by_sorting(losses, mask, threshold, min_kept)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(actual, ours)
    (expected_gradient,) = torch.autograd.grad(expected, theirs)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5 * float(expected_gradient.abs().max()))


def test_hard_examples_of_an_ignored_batch_are_none() -> None:
    logits, mask = make(4, *SIZES["x4"], ignored=1.1)
    loss = ohem_cross_entropy(logits.requires_grad_(), mask, ignore_index=IGNORE, min_kept=10)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


ALPHA = torch.linspace(0.2, 3, 11)
SAME: dict[str, tuple[Callable[..., Tensor], nn.Module]] = {
    "focal": (functional.focal, Focal(IGNORE)),
    "focal, weighted": (partial(functional.focal, gamma=0.5, weight=ALPHA), Focal(IGNORE, 0.5, ALPHA.tolist())),
    "dice": (functional.dice, Dice(IGNORE)),
    "dice, smooth": (partial(functional.dice, smooth=3.0), Dice(IGNORE, 3.0)),
    "tversky": (functional.tversky, Tversky(IGNORE)),
    "tversky, all arguments": (
        partial(functional.tversky, alpha=0.2, beta=0.9, gamma=4 / 3, smooth=2.0), Tversky(IGNORE, 0.2, 0.9, 4 / 3, 2.0)
    ),
    "lovasz": (functional.lovasz_softmax, LovaszSoftmax(IGNORE)),
    "lovasz, per image": (
        partial(functional.lovasz_softmax, bins=50, classes="all", per_image=True),
        LovaszSoftmax(IGNORE, 50, "all", per_image=True),
    ),
    "lovasz, exact": (partial(functional.lovasz_softmax, bins=None), LovaszSoftmax(IGNORE, bins=None)),
    "boundary": (functional.boundary, BoundaryLoss(IGNORE)),
    "ohem": (functional.ohem_cross_entropy, OHEMCrossEntropy(IGNORE)),
    "ohem, weighted": (
        partial(functional.ohem_cross_entropy, threshold=0.1, min_kept=99, weight=ALPHA),
        OHEMCrossEntropy(IGNORE, 0.1, 99, ALPHA.tolist()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_a_function_has_the_value_and_the_gradient_of_its_class(name: str) -> None:
    function, module = SAME[name]
    logits, mask = make(11, *SIZES["x4"])
    logits.requires_grad_()
    value, expected = function(logits, mask, ignore_index=IGNORE), module(logits, mask)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = [torch.autograd.grad(each, logits)[0] for each in (value, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6 * float(gradients[1].abs().max()))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (partial(functional.focal, gamma=-1.0), "gamma is -1: it has to be at least 0"),
        (partial(functional.dice, smooth=-1.0), "smooth is -1: it has to be at least 0"),
        (partial(functional.tversky, gamma=0.0), "gamma is 0: it has to be at least 0.01"),
        (partial(functional.lovasz_softmax, bins=0), "bins is 0: it has to be at least 1"),
        (partial(functional.ohem_cross_entropy, threshold=7.0), "threshold is 7: it has to be between 0 and 1"),
        (partial(upsampled_cross_entropy, label_smoothing=2.0), "label_smoothing is 2: it has to be between 0 and 1"),
        (
            partial(upsampled_cross_entropy, weight=torch.ones(3)),
            "weight has 3 weights for 4 classes: give one for each class",
        ),
    ],
)
def test_arguments_out_of_bounds(call: Callable[..., Tensor], says: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        call(*make(4, *SIZES["x4"]), ignore_index=IGNORE)


@pytest.mark.parametrize(("classes", "ignored", "dtype"), [(300, -1, torch.int16), (1000, 65535, torch.int32)])
def test_masks_of_many_classes(classes: int, ignored: int, dtype: torch.dtype) -> None:
    logits, mask = make(classes, *SIZES["odd"])
    mask = torch.where(mask == IGNORE, ignored, mask)  # class 255 is one of them
    loss = upsampled_cross_entropy(logits, mask.to(dtype), ignore_index=ignored)
    upsampled = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(loss, F.cross_entropy(upsampled, mask, ignore_index=ignored), rtol=1e-5, atol=0)


def test_large_logits_neither_overflow_nor_lose_the_target() -> None:
    """A target of probability e^-400 has the loss 400, though float32 holds no such number."""
    logits, mask = make(3, *SIZES["x4"])
    assert_same(200 * logits, mask)


def test_the_mask_is_left_as_it_is() -> None:
    logits, mask = make(3, *SIZES["same"])
    before = mask.clone()
    upsampled_cross_entropy(logits, mask, ignore_index=IGNORE)
    assert torch.equal(mask, before)


def test_channels_last_logits() -> None:
    logits, mask = make(19, *SIZES["odd"])
    assert_same(logits.contiguous(memory_format=torch.channels_last), mask)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_logits_are_read_in_float32(dtype: torch.dtype, tolerance: float) -> None:
    logits, mask = make(19, *SIZES["odd"])
    assert_same(logits.to(dtype), mask, tolerance=tolerance)  # the gradient comes back in 8 or 11 bits


def test_gradient_follows_what_comes_after() -> None:
    logits, mask = make(5, *SIZES["x4"])
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (upsampled_cross_entropy(ours, mask, ignore_index=IGNORE) ** 2).backward()
    (reference(theirs, mask) ** 2).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_one_pixel_by_hand() -> None:
    logits = torch.zeros(1, 3, 1, 1).requires_grad_()
    loss = upsampled_cross_entropy(logits, torch.tensor([[[1]]]), ignore_index=IGNORE)
    loss.backward()
    assert loss.item() == pytest.approx(1.0986123)  # log 3
    torch.testing.assert_close(logits.grad, torch.tensor([1 / 3, -2 / 3, 1 / 3]).view(1, 3, 1, 1))


@pytest.mark.parametrize("weight", [None, torch.ones(4)])
def test_all_ignored_is_zero_with_zero_gradient(weight: Tensor | None) -> None:
    logits, mask = make(4, *SIZES["x4"], ignored=1.1)
    logits.requires_grad_()
    loss = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE, weight=weight)
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=0)


def test_ignored_pixels_change_nothing() -> None:
    logits, mask = make(3, (4, 4), (4, 4), ignored=0)
    mask[:, 0] = IGNORE
    loss = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE)
    logits[:, :, 0] = 100 * torch.randn(2, 3, 4)
    assert upsampled_cross_entropy(logits, mask, ignore_index=IGNORE) == loss


def test_second_derivative_of_a_function_of_the_loss_is_refused() -> None:
    logits, mask = make(3, *SIZES["x4"])
    logits.requires_grad_()
    squared = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE) ** 2
    with pytest.raises(RuntimeError, match="second derivative"):
        torch.autograd.grad(squared, logits, create_graph=True)


def gradient_penalty(logits: Tensor, mask: Tensor) -> None:
    loss = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE)
    (gradient,) = torch.autograd.grad(loss, logits, create_graph=True)
    (loss + gradient.square().sum()).backward()


def test_a_gradient_penalty_is_refused_and_not_dropped_in_silence() -> None:
    logits, mask = make(3, *SIZES["x4"])
    with pytest.raises(RuntimeError):
        gradient_penalty(logits.requires_grad_(), mask)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any result had."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.elements = max(self.elements, out.numel())
        return out


def test_no_full_resolution_logits_are_held() -> None:
    logits, mask = make(19, (128, 256), (512, 1024))
    logits.requires_grad_()
    with LargestTensor() as largest:
        upsampled_cross_entropy(logits, mask, ignore_index=IGNORE).backward()
    assert largest.elements <= 2 * 19 * 512 * 1024 / 8  # of two images, which peers hold three or four times
    with LargestTensor() as largest:
        reference(logits, mask)
    assert largest.elements == 2 * 19 * 512 * 1024  # the measure does measure


def test_float16_gradient_does_not_underflow_under_a_loss_scale() -> None:
    """A pixel's share of a mean over a million pixels is below float16; times the scale of AMP it is not."""
    scale = 2.0**16
    small = torch.randn(1, 5, 256, 256, generator=torch.Generator().manual_seed(0))
    small = (8 * small).half().requires_grad_()
    mask = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    (upsampled_cross_entropy(small, mask, ignore_index=IGNORE) * scale).backward()
    theirs = small.detach().float().requires_grad_()
    (reference(theirs, mask) * scale).backward()
    assert theirs.grad is not None
    lost = (theirs.grad / scale).half().float() * scale / theirs.grad - 1
    assert lost.abs().nan_to_num().quantile(0.9) > 0.01  # so it would be if it were made in float16 before the scale
    torch.testing.assert_close(small.grad, theirs.grad.half(), rtol=2e-3, atol=1e-4)
