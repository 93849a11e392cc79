"""Gradients of accumulated batches, against torch's own loss over all their pixels at once."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision

from seglight.losses import CrossEntropy
from tests.support.accumulation import (
    IGNORE,
    WEIGHTS,
    assert_same,
    new_module,
    ours,
    torchs,
    uneven_images,
)


@pytest.mark.parametrize(("batch_size", "batches"), [(6, 1), (2, 3), (1, 6)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_window_has_the_gradient_of_one_mean_over_its_pixels(batch_size: int, batches: int, weighted: bool) -> None:
    images = uneven_images(6)
    loss = partial(CrossEntropy, class_weights=WEIGHTS) if weighted else CrossEntropy
    expected = torchs([images], torch.tensor(WEIGHTS, dtype=torch.float64) if weighted else None)
    assert_same(ours(images, batch_size, batches, loss), expected)


def test_clipping_sees_the_gradient_of_the_mean() -> None:
    images = uneven_images(6)
    assert_same(ours(images, 2, 3, gradient_clip_val=0.01), torchs([images], clip=0.01))


def half() -> MixedPrecision:
    """float16 with a loss scale; Lightning's own choice on a CPU would be bfloat16."""
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))


@pytest.mark.parametrize(("precision", "share"), [(partial(MixedPrecision, "bf16-mixed", "cpu"), 2e-2), (half, 2e-3)])
def test_mixed_precision_clips_the_gradient_of_the_mean(precision: Any, share: float) -> None:
    images = uneven_images(6)
    found = ours(images, 2, 3, dtype=torch.float32, plugins=precision(), gradient_clip_val=0.1)
    assert_same(found, torchs([images], clip=0.1, dtype=torch.float32), share)


def test_the_windows_of_an_epoch_and_the_last_that_its_end_cuts_short() -> None:
    images = uneven_images(10)
    assert_same(ours(images, 2, 3), torchs([images[:6], images[6:]]))


def test_a_window_without_labels_moves_nothing() -> None:
    images = [(image, torch.full_like(mask, IGNORE)) for image, mask in uneven_images(4)]
    before = list(new_module(CrossEntropy, torch.float64).net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(ours(images, 2, 2), before, strict=True))
