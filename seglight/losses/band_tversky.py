"""Losses of how much of each class's probability lies where it belongs, as terms of the walk."""

import torch
from torch import Tensor

from seglight.losses.band_pass import Pixels, Slope, Term
from seglight.system.ranks import sum_over_ranks, world_size

EPS = 1e-7


class TverskyTerm(Term):
    """Mean over classes of (1 - index)^exponent, from sums over all pixels that are not ignored.

    The index of a class is (tp + smooth) / (tp + alpha fp + beta fn + smooth), where tp is the sum of its probability
    over its own pixels, fp that over others' pixels, and fn the rest of its pixels. Classes without a pixel are left
    out. The sums are over all processes: N processes have the gradient of one with their joined batch.

    Args:
        alpha: Weight of fp.
        beta: Weight of fn.
        smooth: Added above and below.
        exponent: Of each class's loss.
    """

    looks = True

    def __init__(self, alpha: float, beta: float, smooth: float, exponent: float = 1.0) -> None:
        self.alpha, self.beta, self.smooth, self.exponent = alpha, beta, smooth, exponent

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Start sums at zero."""
        self.over_ranks = over_ranks
        self.inside, self.anywhere, self.pixels = torch.zeros(
            3, logits.shape[1], dtype=torch.float64, device=logits.device
        )

    def look(self, pixels: Pixels) -> None:
        """Add up each class's probability over its own pixels and over all, and its pixels."""
        at_target = (-pixels.nll).exp() * pixels.valid
        target = pixels.target.flatten()
        self.inside.index_add_(0, target, at_target.flatten().double())
        self.anywhere += pixels.p.sum((0, 2))
        self.pixels.index_add_(0, target, pixels.valid.flatten().double())

    def settle(self) -> None:
        """Find the loss, and its slope by each class's two sums."""
        inside, anywhere, pixels = self.inside, self.anywhere, self.pixels
        if self.over_ranks:
            inside, anywhere, pixels = sum_over_ranks(inside, anywhere, pixels)
        # evaluation runs in inference mode, whose tensors have no gradient in any way
        with torch.inference_mode(False), torch.enable_grad():
            inside, anywhere, pixels = (part.detach().clone() for part in (inside, anywhere, pixels))
            inside, anywhere = inside.requires_grad_(), anywhere.requires_grad_()
            value = self.loss(inside, anywhere, pixels)
            by_inside, by_anywhere = torch.autograd.grad(value, (inside, anywhere))
        share = world_size() if self.over_ranks else 1
        self.value = value.detach().float()
        self.by_inside, self.by_anywhere = (share * by_inside).float(), (share * by_anywhere).float()

    def loss(self, inside: Tensor, anywhere: Tensor, pixels: Tensor) -> Tensor:
        """Scalar, from each class's (C,) sums of its probability over its own pixels and over all, and its pixels."""
        present = pixels > 0
        false_alarms, missed = anywhere - inside, pixels - inside
        below = inside + self.alpha * false_alarms + self.beta * missed + self.smooth
        # classes that are absent are replaced before the power: its slope at 0 is infinite for exponents below 1
        loss = torch.where(present, 1 - (inside + self.smooth) / below.clamp(min=EPS), 1)
        loss = loss.clamp(min=EPS) ** self.exponent if self.exponent != 1 else loss
        return (loss * present).sum() / present.sum().clamp(min=1)

    def slope(self, pixels: Pixels) -> Slope:
        """By p of a pixel's class, which is -p by its -log p; and by p of all classes."""
        at_target = (-pixels.nll).exp() * pixels.valid
        return Slope(nll=-at_target * self.by_inside[pixels.target], classes=self.by_anywhere)
