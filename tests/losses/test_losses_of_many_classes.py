"""Each loss at 1,000 classes, int32 masks that are ignored at 65535, against torch and segmentation_models.pytorch."""

from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits
from torch import Tensor, nn

from seglight.losses import (
    BoundaryLoss,
    CrossEntropy,
    Dice,
    Focal,
    LovaszSoftmax,
    OHEMCrossEntropy,
    Tversky,
)
from tests.support.loss_cases import Loss, upsampled

CLASSES, IGNORE, KEPT = 1000, 65535, 100


def drawn() -> tuple[Tensor, Tensor]:
    """Logits (2, C, 6, 7) that are right at half of the pixels, and a mask of patches of 200 of the classes."""
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(0, CLASSES, (2, 6, 7), generator=generator)
    small[0, 0, :2] = torch.tensor([255, 999])
    logits = 2 * torch.randn(2, CLASSES, 6, 7, generator=generator)
    logits.scatter_add_(1, small[:, None], 8 * (torch.rand(2, 1, 6, 7, generator=generator) < 0.5).float())
    mask = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = IGNORE
    return logits, mask


def focal(full: Tensor, labels: Tensor) -> Tensor:
    valid = labels != IGNORE
    return softmax_focal_loss_with_logits(full.movedim(1, -1)[valid], labels[valid], 2.0)


def of_present(loss: type) -> Loss:
    """Their mean is over all classes, ours over those that are present."""

    def reference(full: Tensor, labels: Tensor) -> Tensor:
        present = len(labels[labels != IGNORE].unique())
        value: Tensor = loss("multiclass", ignore_index=IGNORE)(full, labels)
        return value * CLASSES / present

    return reference


def hardest(full: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(full, labels, ignore_index=IGNORE, reduction="none")[labels != IGNORE]
    return losses.sort(descending=True).values[: max(KEPT, int((losses > -torch.tensor(0.7).log()).sum()))].mean()


def lovasz(full: Tensor, labels: Tensor) -> Tensor:
    value: Tensor = smp.losses.LovaszLoss("multiclass", ignore_index=IGNORE, from_logits=True)(full.float(), labels)
    return value


PAIRS: dict[str, tuple[Callable[[], nn.Module], Loss, float]] = {
    "CrossEntropy": (
        lambda: CrossEntropy(IGNORE, label_smoothing=0.1),
        lambda full, labels: F.cross_entropy(full, labels, ignore_index=IGNORE, label_smoothing=0.1),
        1e-5,
    ),
    "Focal": (lambda: Focal(IGNORE, 2.0), focal, 1e-5),
    "Dice": (lambda: Dice(IGNORE, smooth=0.0), of_present(smp.losses.DiceLoss), 1e-5),
    "Tversky": (lambda: Tversky(IGNORE, 0.5, 0.5), of_present(smp.losses.TverskyLoss), 1e-5),
    "OHEMCrossEntropy": (lambda: OHEMCrossEntropy(IGNORE, 0.7, KEPT), hardest, 1e-5),
    "LovaszSoftmax": (lambda: LovaszSoftmax(IGNORE, bins=None), lovasz, 1e-3),
}
"""Loss, reference on upsampled logits, and the relative tolerance: theirs of Lovász-Softmax computes in float32."""


@pytest.mark.parametrize("name", PAIRS)
def test_as_the_reference(name: str) -> None:
    ours, reference, tolerance = PAIRS[name]
    logits, mask = drawn()
    found, expected = logits.clone().requires_grad_(), logits.double().requires_grad_()
    value = ours()(found, mask.to(torch.int32))
    theirs = reference(upsampled(expected, mask), mask)
    torch.testing.assert_close(value.double(), theirs.double(), rtol=tolerance, atol=1e-7)
    gradient, right = torch.autograd.grad(value, found)[0], torch.autograd.grad(theirs, expected)[0]
    torch.testing.assert_close(gradient.double(), right, rtol=0, atol=tolerance * float(right.abs().max()))


def test_what_is_ignored_has_no_gradient_and_names_do_not_wrap() -> None:
    """Class 255 and class 999 count; a mask that is ignored everywhere but there has the loss of these pixels."""
    logits, mask = drawn()
    mask = torch.where((mask == 255) | (mask == 999), mask, IGNORE)
    full = upsampled(logits, mask).movedim(1, -1)[mask != IGNORE]
    expected = F.cross_entropy(full, mask[mask != IGNORE])
    torch.testing.assert_close(CrossEntropy(IGNORE)(logits, mask.to(torch.int32)), expected, rtol=1e-5, atol=0)


def test_the_boundary_loss_is_that_of_the_classes_that_are_there() -> None:
    """Logits of absent classes that are very low do not count: the value is that of a net of the others alone."""
    logits, mask = drawn()
    few = torch.tensor([3, 255, 256, 700, 999])
    index = torch.randint(0, 5, mask.shape, generator=torch.Generator().manual_seed(1))
    index = index[:, ::8, ::7].repeat_interleave(8, 1).repeat_interleave(7, 2)
    many = torch.full_like(logits, -1e4)
    many[:, few] = logits[:, few]
    found = BoundaryLoss(IGNORE)(many, few[index].to(torch.int32))
    expected = BoundaryLoss(255)(logits[:, few], index.to(torch.uint8))
    scale = 1 if expected == 0 else float(expected)
    assert float(found) / scale == pytest.approx(1, rel=1e-5)
