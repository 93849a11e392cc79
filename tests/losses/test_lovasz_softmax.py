"""The exact form against the authors' as segmentation_models.pytorch has it; the form in bins against the exact one."""

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor

from seglight.losses import LovaszSoftmax
from seglight.losses.lovasz_softmax import lovasz_of_counts
from tests.support.loss_cases import IGNORE, SHAPES, assert_equal, drawn, upsampled, value_and_gradient

BINS = [4, 64, 1000, 1024]


def theirs(logits: Tensor, mask: Tensor, per_image: bool = False) -> Tensor:
    """In float32, which it is written for."""
    loss = smp.losses.LovaszLoss("multiclass", per_image=per_image, ignore_index=IGNORE, from_logits=True)
    return loss(logits.float(), mask)


def algorithm_1(logits: Tensor, mask: Tensor) -> Tensor:
    """Of the paper, in the dtype of the logits: increments of a distance near 1 have few digits in float32."""
    valid, p = mask != IGNORE, logits.softmax(1)
    losses = []
    for label in mask[valid].unique():
        of_class = (mask == label)[valid]
        error, order = (of_class.to(p) - p[:, label][valid]).abs().sort(descending=True)
        hits, misses = of_class[order].cumsum(0), (~of_class[order]).cumsum(0)
        distance = 1 - (of_class.sum() - hits) / (of_class.sum() + misses).to(p)
        losses.append((error * distance.diff(prepend=distance.new_zeros(1))).sum())
    return torch.stack(losses).mean()


def jaccard_extension(errors: np.ndarray, of_class: np.ndarray) -> float:
    """Sum of sorted errors times increments of the Jaccard distance, straight from its definition."""
    order = np.argsort(-errors, kind="stable")
    before, total = 0.0, 0.0
    for count in range(1, len(order) + 1):
        wrong = np.zeros(len(order), bool)
        wrong[order[:count]] = True
        predicted = of_class ^ wrong
        after = 1 - (of_class & predicted).sum() / (of_class | predicted).sum()
        total += errors[order[count - 1]] * (after - before)
        before = after
    return total


@pytest.mark.parametrize("shape", SHAPES)
def test_the_exact_form_equals_the_authors(shape: str) -> None:
    logits, mask = drawn(shape)
    assert_equal(LovaszSoftmax(IGNORE, bins=None), algorithm_1, logits, mask)
    assert_equal(LovaszSoftmax(IGNORE, bins=None), theirs, logits, mask, tolerance=1e-3)
    expected = theirs(upsampled(logits, mask), mask)
    torch.testing.assert_close(LovaszSoftmax(IGNORE, bins=None)(logits, mask), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("bins", [None, 1024])
def test_per_image(bins: int | None) -> None:
    logits, mask = drawn("two_classes")
    loss = LovaszSoftmax(IGNORE, bins, per_image=True)
    if bins is None:
        assert_equal(loss, lambda full, labels: theirs(full, labels, per_image=True), logits, mask, 1e-4)
    else:
        expected = theirs(upsampled(logits, mask), mask, per_image=True)
        torch.testing.assert_close(loss(logits, mask), expected, rtol=0, atol=0.5 / bins)
    # the images do not see each other, and an ignored one isn't counted
    mask[2] = IGNORE
    single = sum(loss(logits[k : k + 1], mask[k : k + 1]) for k in (0, 1)) / 2
    torch.testing.assert_close(loss(logits, mask), single)


@pytest.mark.parametrize("bins", [None, 1024])
def test_all_classes(bins: int | None) -> None:
    """The Jaccard distance of an absent class is 1 as soon as a pixel is wrong: its loss is the largest error."""
    logits, mask = drawn("x4", absent=(1, 4))
    largest = upsampled(logits, mask).softmax(1).movedim(1, 0)[:, mask != IGNORE].amax(1)
    expected = (3 * theirs(upsampled(logits, mask), mask) + largest[1] + largest[4]) / 5
    loss = LovaszSoftmax(IGNORE, bins, classes="all")
    torch.testing.assert_close(loss(logits, mask), expected, rtol=0, atol=1e-6 if bins is None else 0.5 / bins)
    _, gradient = value_and_gradient(loss, logits, mask)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bins", BINS)
def test_value_is_within_half_a_bin_of_the_authors(bins: int, shape: str) -> None:
    logits, mask = drawn(shape, absent=(1,))
    expected = theirs(upsampled(logits.double(), mask), mask)
    assert abs(LovaszSoftmax(IGNORE, bins)(logits, mask) - expected) <= 0.5 / bins + 1e-6


@pytest.mark.parametrize("bins", [1, 3, 64])
def test_gradients_by_errors_are_subgradients_of_the_exact_form_within_a_bin(bins: int) -> None:
    """L(f) >= L(e) + <w, f - e> - 1 / bins for any f, and w is of the polytope: not negative, with the sum of all."""
    rng = np.random.default_rng(bins)
    for share in (0.1, 0.5, 0.9):
        errors, of_class = rng.random(60) ** 2, rng.random(60) < share
        which = (errors * bins).astype(int)
        on, off = (torch.from_numpy(np.bincount(which[kind], minlength=bins)) for kind in (of_class, ~of_class))
        _, by_on, by_off = (part.numpy() for part in lovasz_of_counts(on, off))
        slope = np.where(of_class, by_on[which], by_off[which])
        exact = jaccard_extension(errors, of_class)
        assert slope.min() >= 0
        assert slope.sum() == pytest.approx(1)  # all wrong: nothing in common, distance 1
        for spread in (0.001, 0.03, 1.0):
            other = np.clip(errors + spread * rng.standard_normal((40, 60)), 0, 1)
            for f in other:
                assert jaccard_extension(f, of_class) >= exact + slope @ (f - errors) - 1 / bins - 1e-12


def test_one_error_a_bin_has_the_exact_gradients() -> None:
    """Without ties, each bin with one pixel at its middle: value and gradients are those of the authors."""
    errors = (torch.tensor([0, 1, 2, 4, 5, 7]) + 0.5).double() / 8
    of_class = torch.tensor([1, 0, 0, 1, 0, 1])
    where = (errors * 8).long()
    on, off = torch.bincount(where[of_class == 1], minlength=8), torch.bincount(where[of_class == 0], minlength=8)
    value, by_on, by_off = lovasz_of_counts(on, off)
    assert value.item() == pytest.approx(jaccard_extension(errors.numpy(), of_class.numpy() == 1))
    found = torch.where(of_class == 1, by_on[where], by_off[where])
    for k in range(6):
        more = errors.clone()
        more[k] += 1e-4
        step = jaccard_extension(more.numpy(), of_class.numpy() == 1) - value.item()
        assert found[k].item() == pytest.approx(step / 1e-4, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_in_bins_is_near_the_exact_one(shape: str) -> None:
    logits, mask = drawn(shape)
    _, exact = value_and_gradient(LovaszSoftmax(IGNORE, bins=None), logits, mask)
    _, binned = value_and_gradient(LovaszSoftmax(IGNORE), logits, mask)
    assert torch.nn.functional.cosine_similarity(binned.flatten(), exact.flatten(), dim=0) > 0.99
