"""Tversky loss, and the focal Tversky loss."""

import torch
from torch import Tensor

from seglight.losses.band_pass import BandGradient, BandPixels, LossTerm
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.system.ranks import sum_over_ranks, world_size

EPS = 1e-7


class Tversky(BandedLoss):
    """(1 - index)^(1 / gamma) of each class over the whole batch, averaged over the classes that are present.

    The index is tp / (tp + alpha fp + beta fn) of Salehi et al. 2017, "Tversky loss function for image segmentation
    using 3D fully convolutional deep networks"; gamma is from Abraham & Khan 2019, "A novel focal Tversky loss
    function" (they use 4/3). alpha = beta = 0.5 is `Dice`, and alpha = beta = 1 the soft Jaccard loss. Classes that are
    absent, and several processes, are treated as in `Dice`.

    Args:
        ignore_index: Mask value that is ignored.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        gamma: Inverse of the exponent: above 1, classes that are nearly right have more influence; below 1, less.
        smooth: Number of pixels added to the numerator and the denominator.
    """

    def __init__(
        self, ignore_index: int, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 0.0
    ) -> None:
        super().__init__(ignore_index)
        check_range("loss.alpha", alpha, 0)
        check_range("loss.beta", beta, 0)
        check_range("loss.smooth", smooth, 0)
        check_range("loss.gamma", gamma, 0.01)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.smooth = smooth

    def term(self) -> LossTerm:
        """The Tversky loss of all labelled pixels."""
        return TverskyTerm(self.alpha, self.beta, self.smooth, 1 / self.gamma)


class TverskyTerm(LossTerm):
    """Mean over classes of (1 - index)^exponent, from sums over all pixels that are not ignored.

    The index of a class is (tp + smooth) / (tp + alpha fp + beta fn + smooth), where tp is the sum of its probability
    over its own pixels, fp that over the pixels of other classes, and fn the number of its pixels minus tp. Classes
    without a pixel are left out. The sums are over all processes: N processes have the gradient of one with their
    joined batch.

    Args:
        alpha: Weight of fp.
        beta: Weight of fn.
        smooth: Number of pixels added to the numerator and the denominator.
        exponent: Exponent of each class's loss.
    """

    needs_statistics = True

    def __init__(self, alpha: float, beta: float, smooth: float, exponent: float = 1.0) -> None:
        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth
        self.exponent = exponent

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Start sums at zero."""
        self.over_ranks = over_ranks
        self.inside, self.anywhere, self.pixels = torch.zeros(
            3, logits.shape[1], dtype=torch.float64, device=logits.device
        )

    def accumulate(self, pixels: BandPixels) -> None:
        """Add each class's probability over its own pixels and over all, and the number of its pixels."""
        at_target = (-pixels.nll).exp() * pixels.valid
        target = pixels.target.flatten()
        self.inside.index_add_(0, target, at_target.flatten().double())
        self.anywhere += pixels.probs.sum((0, 2))
        self.pixels.index_add_(0, target, pixels.valid.flatten().double())

    def finalize(self) -> None:
        """Compute the loss, and its gradient with respect to the two sums of probabilities of each class."""
        inside, anywhere, pixels = self.inside, self.anywhere, self.pixels
        if self.over_ranks:
            inside, anywhere, pixels = sum_over_ranks(inside, anywhere, pixels)
        # evaluation runs in inference mode, whose tensors cannot require a gradient
        with torch.inference_mode(False), torch.enable_grad():
            inside, anywhere, pixels = (part.detach().clone() for part in (inside, anywhere, pixels))
            inside, anywhere = inside.requires_grad_(), anywhere.requires_grad_()
            value = self.loss(inside, anywhere, pixels)
            by_inside, by_anywhere = torch.autograd.grad(value, (inside, anywhere))
        share = world_size() if self.over_ranks else 1
        self.value = value.detach().float()
        self.by_inside = (share * by_inside).float()
        self.by_anywhere = (share * by_anywhere).float()

    def loss(self, inside: Tensor, anywhere: Tensor, pixels: Tensor) -> Tensor:
        """Compute the loss, a scalar.

        Args:
            inside: (C,) sum of each class's probability over its own pixels.
            anywhere: (C,) sum of each class's probability over all pixels.
            pixels: (C,) number of each class's pixels.
        """
        present = pixels > 0
        false_positives = anywhere - inside
        false_negatives = pixels - inside
        below = inside + self.alpha * false_positives + self.beta * false_negatives + self.smooth
        # absent classes are replaced before the power, whose derivative at 0 is infinite for exponents below 1
        loss = torch.where(present, 1 - (inside + self.smooth) / below.clamp(min=EPS), 1)
        loss = loss.clamp(min=EPS) ** self.exponent if self.exponent != 1 else loss
        return (loss * present).sum() / present.sum().clamp(min=1)

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        """By p of a pixel's class, where dp = -p d(-log p), and by p of all classes."""
        at_target = (-pixels.nll).exp() * pixels.valid
        return BandGradient(by_nll=-at_target * self.by_inside[pixels.target], by_class=self.by_anywhere)
