"""Logits, masks, and the comparison of a loss with an outside reference on upsampled logits."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.losses import BoundaryLoss, CrossEntropy, Dice, Focal, LovaszSoftmax, OHEMCrossEntropy, Tversky
from seglight.losses import WeightedSum as Sum

IGNORE = 255
SHAPES = {
    "x4": ((2, 5, 6, 8), (24, 32)),
    "odd": ((1, 3, 7, 5), (53, 37)),
    "two_classes": ((3, 2, 5, 9), (23, 40)),
    "many_classes": ((2, 300, 6, 7), (23, 28)),
    "same": ((2, 4, 24, 18), (24, 18)),
    "bands": ((2, 19, 20, 60), (160, 480)),
}
"""Shapes of logits, and heights and widths of masks."""

Loss = Callable[[Tensor, Tensor], Tensor]


def drawn(shape: str, ignored: float = 0.2, absent: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Logits that are right at half of the pixels, and an int64 mask in patches."""
    (batch, classes, *small), (height, width) = SHAPES[shape]
    generator = torch.Generator().manual_seed(classes)
    coarse = torch.randint(0, classes, (batch, 1, 7, 6), generator=generator)
    mask = F.interpolate(coarse.double(), (height, width)).long().squeeze(1)
    for label in absent:
        mask[mask == label] = (label + 1) % classes
    small_mask = F.interpolate(mask.unsqueeze(1).double(), small).long()
    logits = 2 * torch.randn(batch, classes, *small, generator=generator)
    right = torch.rand(small_mask.shape, generator=generator) < 0.5
    logits.scatter_add_(1, small_mask, 4 * right.float())
    mask[torch.rand(mask.shape, generator=generator) < ignored] = IGNORE
    return logits, mask


def upsampled(logits: Tensor, mask: Tensor) -> Tensor:
    return F.interpolate(logits, (mask.shape[-2], mask.shape[-1]), mode="bilinear", align_corners=False)


def value_and_gradient(loss: Loss, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, mask)
    return value.detach(), torch.autograd.grad(value, logits)[0]


def assert_equal(loss: Loss, reference: Loss, logits: Tensor, mask: Tensor, tolerance: float = 1e-5) -> None:
    """Value relative to itself, gradient relative to its largest entry; the reference gets float64 at full size."""
    value, gradient = value_and_gradient(loss, logits, mask)
    expected = value_and_gradient(
        lambda small, labels: reference(upsampled(small, labels), labels), logits.double(), mask.long()
    )
    assert value.dtype == torch.float32
    assert gradient.dtype == logits.dtype
    torch.testing.assert_close(value.double(), expected[0].double(), rtol=tolerance, atol=1e-7)
    largest = float(expected[1].abs().max())
    assert largest > 0
    torch.testing.assert_close(gradient.double(), expected[1], rtol=0, atol=tolerance * largest)


WEIGHTS = [1, 2, 3, 4, 5]


LOSSES: dict[str, Callable[[int], nn.Module]] = {
    "CrossEntropy": CrossEntropy,
    "weighted": partial(CrossEntropy, class_weights=WEIGHTS),
    "smoothed": partial(CrossEntropy, class_weights=WEIGHTS, label_smoothing=0.1),
    "OHEMCrossEntropy": partial(OHEMCrossEntropy, min_kept=3000),
    "Focal": Focal,
    "Dice": Dice,
    "Tversky": partial(Tversky, gamma=4 / 3),
    "LovaszSoftmax": LovaszSoftmax,
    "per image": partial(LovaszSoftmax, per_image=True, classes="all"),
    "exact": partial(LovaszSoftmax, bins=None),
    "exact per image": partial(LovaszSoftmax, bins=None, per_image=True, classes="all"),
    "BoundaryLoss": BoundaryLoss,
    "WeightedSum": partial(Sum, losses=[CrossEntropy, Dice, Focal, BoundaryLoss], weights=[1, 0.5, 2, 0.01]),
}
