"""Losses of attacks: cases worked by hand, and their gradient against autograd of the formulas at full size.

Covers: robustness.attacks.victim.
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.robustness import BalancedMaskedCrossEntropy, JensenShannon, MaskedCrossEntropy, PlainCrossEntropy
from seglight.robustness.attacks.pixel_losses import CosPGDLoss, PixelLoss, SegPGDLoss
from seglight.robustness.attacks.victim import Victim
from tests.support.attacked import CLASSES, IGNORE, SmoothNet, drawn

Formula = Callable[[Tensor, Tensor], Tensor]
"""Loss (B, H, W) of full-size logits and labels without ignored pixels."""


def cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits, mask, reduction="none")


def masked(logits: Tensor, mask: Tensor) -> Tensor:
    return (logits.argmax(1) == mask) * cross_entropy(logits, mask)


def jensen_shannon(logits: Tensor, mask: Tensor) -> Tensor:
    p = logits.softmax(1)
    q = F.one_hot(mask, logits.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
    mean = ((p + q) / 2).log()
    return (F.kl_div(mean, p, reduction="none") + F.kl_div(mean, q, reduction="none")).sum(1) / 2


def segpgd(logits: Tensor, mask: Tensor, share: float = 0.6) -> Tensor:
    weight = torch.where(logits.argmax(1) == mask, 1 - share / 2, share / 2)
    return weight * cross_entropy(logits, mask)


def cospgd(logits: Tensor, mask: Tensor) -> Tensor:
    one_hot = F.one_hot(mask, logits.shape[1]).permute(0, 3, 1, 2)
    return F.cosine_similarity(logits.softmax(1), one_hot, dim=1).detach() * cross_entropy(logits, mask)


CASES: dict[str, tuple[PixelLoss, Formula]] = {
    "cross-entropy": (PlainCrossEntropy(), cross_entropy),
    "masked": (MaskedCrossEntropy(), masked),
    "balanced": (BalancedMaskedCrossEntropy([1, 2, 3, 4]), lambda z, y: torch.tensor([1, 2, 3, 4])[y] * masked(z, y)),
    "Jensen-Shannon": (JensenShannon(), jensen_shannon),
    "SegPGD": (SegPGDLoss(), segpgd),
    "CosPGD": (CosPGDLoss(), cospgd),
}


@pytest.mark.parametrize("side", [32, 50], ids=["multiple of 32", "padded"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_by_the_image_is_that_of_the_formula_at_full_size(name: str, side: int) -> None:
    loss, formula = CASES[name]
    image, mask = drawn(wrong=0.3, ignored=0.2, side=side)
    net = SmoothNet()
    victim = Victim(net, mask, IGNORE)
    look = victim.look(image.float(), loss, loss.pixel_weights(victim.mask, IGNORE), share=0.6)

    leaf = image.double().requires_grad_()
    beyond = (0, -side % 32, 0, -side % 32)
    logits = SmoothNet().double()(F.pad(leaf, beyond, mode="replicate"))
    full = F.interpolate(logits, [side + beyond[1]] * 2, mode="bilinear", align_corners=False)[..., :side, :side]
    valid = mask != IGNORE
    labels = mask.where(valid, torch.zeros_like(mask)).long()
    (expected,) = torch.autograd.grad((formula(full, labels) * valid).sum(), leaf)

    assert look.gradient is not None
    largest = float(expected.abs().max())
    assert largest > 0
    torch.testing.assert_close(look.gradient.double(), expected, rtol=0, atol=2e-5 * largest)
    torch.testing.assert_close(
        look.cross_entropy.double(), (cross_entropy(full, labels) * valid).sum((1, 2)).detach(), rtol=1e-5, atol=0
    )
    assert look.right.tolist() == ((full.argmax(1) == labels) & valid).sum((1, 2)).tolist()


class Given(nn.Module):
    """Three classes at each pixel: the logits are the image's channels."""

    def forward(self, image: Tensor) -> Tensor:
        return image


def gradient(loss: PixelLoss, probabilities: list[float], label: int, share: float = 0.0) -> list[float]:
    """Gradient by the logits of one pixel of known probabilities; the others are ignored."""
    image = torch.zeros(1, 3, 32, 32)
    image[0, :, 4, 5] = torch.tensor(probabilities).log()
    mask = torch.full((1, 32, 32), IGNORE)
    mask[0, 4, 5] = label
    victim = Victim(Given(), mask, IGNORE)
    look = victim.look(image, loss, loss.pixel_weights(mask, IGNORE), share)
    assert look.gradient is not None
    assert float(look.gradient.abs().sum()) == pytest.approx(float(look.gradient[0, :, 4, 5].abs().sum()))
    return [float(value) for value in look.gradient[0, :, 4, 5]]


def test_cases_worked_by_hand() -> None:
    right, wrong = [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]
    assert gradient(PlainCrossEntropy(), right, 0) == pytest.approx([-0.5, 0.25, 0.25])
    assert gradient(MaskedCrossEntropy(), right, 0) == pytest.approx([-0.5, 0.25, 0.25])
    assert gradient(MaskedCrossEntropy(), wrong, 0) == [0, 0, 0]
    # p log((1 + p) / p) / 2 is log(3) / 4 at p = 1/2, and log(5) / 8 at p = 1/4
    assert gradient(JensenShannon(), right, 0) == pytest.approx([x * math.log(3) / 4 for x in (-0.5, 0.25, 0.25)])
    assert gradient(JensenShannon(), wrong, 0) == pytest.approx([x * math.log(5) / 8 for x in (-0.75, 0.5, 0.25)])
    # lambda = 0.6 / 2
    assert gradient(SegPGDLoss(), right, 0, 0.6) == pytest.approx([-0.35, 0.175, 0.175])
    assert gradient(SegPGDLoss(), wrong, 0, 0.6) == pytest.approx([-0.225, 0.15, 0.075])
    # the norm of the probabilities is sqrt(6) / 4, so that the cosines are 2 / sqrt(6) and 1 / sqrt(6)
    assert gradient(CosPGDLoss(), right, 0) == pytest.approx([x * 2 / math.sqrt(6) for x in (-0.5, 0.25, 0.25)])
    assert gradient(CosPGDLoss(), wrong, 0) == pytest.approx([x / math.sqrt(6) for x in (-0.75, 0.5, 0.25)])


def test_balance_of_an_image_gives_each_class_the_same_weight() -> None:
    """Three pixels of class 2, one of class 0: weights 4 / (2 * 3) and 4 / (2 * 1)."""
    mask = torch.tensor([[[2, 2, 0], [IGNORE, 2, IGNORE]], [[IGNORE] * 3] * 2], dtype=torch.uint8)
    weights = BalancedMaskedCrossEntropy().pixel_weights(mask, IGNORE)
    torch.testing.assert_close(weights[0], torch.tensor([[2 / 3, 2 / 3, 2], [0, 2 / 3, 0]]))
    assert not weights[1].any()


def test_a_sure_error_has_no_gradient_that_is_not_finite() -> None:
    """Where p of the label underflows, p log p is 0 and not NaN."""
    for loss, _ in CASES.values():
        assert all(map(math.isfinite, gradient(loss, [1e-45, 1.0, 1e-45], 0)))


def test_weights_of_too_few_classes_are_refused() -> None:
    mask = torch.full((1, 4, 4), CLASSES - 1)
    with pytest.raises(UserError, match="there are 2 class weights and a pixel of class 3"):
        BalancedMaskedCrossEntropy([1, 2]).pixel_weights(mask, IGNORE)
    with pytest.raises(UserError, match="negative"):
        BalancedMaskedCrossEntropy([1, -2])


def test_a_label_without_a_class_is_refused() -> None:
    image, mask = drawn(1)
    mask[0, 0, 0] = CLASSES
    with pytest.raises(UserError, match=r"4 \(1 px\)"):
        Victim(SmoothNet(), mask, IGNORE).look(image.float(), PlainCrossEntropy(), None)
