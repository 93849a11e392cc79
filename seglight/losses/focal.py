"""Focal loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seglight.losses.band_pass import BandGradient, BandPixels, LossTerm
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.system.ranks import mean_scale


class Focal(BandedLoss):
    """Mean of -alpha (1 - p)^gamma log p over the pixels that are not ignored; p is the softmax of a pixel's class.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5, with one softmax over all classes instead of a
    sigmoid for each. The mean is over pixels: class weights affect the sum only, as alpha does in the paper.

    Args:
        ignore_index: Mask value that is ignored.
        gamma: Exponent that reduces the loss of pixels that are right already; 0 is cross-entropy.
        class_weights: alpha of each class, in the order of the classes, or None for 1.
    """

    def __init__(self, ignore_index: int, gamma: float = 2.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(ignore_index, class_weights)
        check_range("loss.gamma", gamma, 0)
        self.gamma = gamma

    def term(self) -> LossTerm:
        """Focal loss of all labelled pixels."""
        return FocalTerm(self.ignore_index, self.gamma, self.weight)


class FocalTerm(LossTerm):
    """Mean of -alpha (1 - p)^gamma log p over the pixels that are not ignored.

    Args:
        ignore_index: Mask value that is ignored.
        gamma: Exponent, at least 0.
        weight: (C,) alpha of each class, or None for 1.
    """

    def __init__(self, ignore_index: int, gamma: float, weight: Tensor | None = None) -> None:
        self.ignore_index = ignore_index
        self.gamma = gamma
        self.weight = weight

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Count the labelled pixels."""
        self.value = torch.zeros((), device=logits.device)
        self.scale = mean_scale((mask != self.ignore_index).sum(), over_ranks)

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        """Derivative of (1 - p)^gamma nll with respect to nll, where p = exp(-nll)."""
        nll = pixels.nll
        miss = -torch.expm1(-nll)  # 1 - p, whose digits would be lost for p near 1
        share = pixels.valid * self.scale
        if self.weight is not None:
            share = share * self.weight[pixels.target]
        share = share * miss**self.gamma
        self.value += (share * nll).sum()
        over_miss = torch.where(miss > 0, nll / miss, 1)
        return BandGradient(by_nll=share * (1 + self.gamma * (1 - miss) * over_miss))
