"""Focal loss as a term of the walk."""

import torch
from torch import Tensor

from seglight.losses.band_pass import Pixels, Slope, Term
from seglight.system.ranks import mean_scale


class FocalTerm(Term):
    """Mean of -alpha (1 - p)^gamma log p over the pixels that are not ignored.

    Args:
        ignore_index: Mask value that counts for nothing.
        gamma: At least 0.
        weight: (C,) alpha of each class, or None.
    """

    def __init__(self, ignore_index: int, gamma: float, weight: Tensor | None = None) -> None:
        self.ignore_index, self.gamma, self.weight = ignore_index, gamma, weight

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Count the labelled pixels."""
        self.value = torch.zeros((), device=logits.device)
        self.scale = mean_scale((mask != self.ignore_index).sum(), over_ranks)

    def slope(self, pixels: Pixels) -> Slope:
        """Derivative of (1 - p)^gamma nll by nll, where p = exp(-nll)."""
        nll = pixels.nll
        miss = -torch.expm1(-nll)  # 1 - p, whose digits would be lost for p near 1
        share = pixels.valid * self.scale
        if self.weight is not None:
            share = share * self.weight[pixels.target]
        share = share * miss**self.gamma
        self.value += (share * nll).sum()
        over_miss = torch.where(miss > 0, nll / miss, 1)
        return Slope(nll=share * (1 + self.gamma * (1 - miss) * over_miss))
