"""Cross-entropy, with optional class weights and label smoothing."""

from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from seglight.losses.band_pass import BandGradient, BandPixels, LossTerm, guard_labels
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.ops.label_values import check_labels
from seglight.system.ranks import mean_scale

FUSED_CLASSES = 1024
"""Largest number of classes for which a thread block of a GPU holds all classes of a few pixels."""


class CrossEntropy(BandedLoss):
    """Mean cross-entropy over the pixels that are not ignored, equal to `F.cross_entropy` of the upsampled logits.

    Args:
        ignore_index: Mask value that is ignored.
        class_weights: Weight of each class, in the order of the classes, or None. The mean is weighted by it.
        label_smoothing: Share of each target that is spread over all classes, from 0 to 1.
    """

    def __init__(
        self, ignore_index: int, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(ignore_index, class_weights)
        check_range("loss.label_smoothing", label_smoothing, 0, 1)
        self.label_smoothing = label_smoothing

    def term(self) -> LossTerm:
        """Cross-entropy of all labelled pixels."""
        return CrossEntropyTerm(self.ignore_index, self.weight, self.label_smoothing)

    def denominator(self, mask: Tensor) -> Tensor:
        """Sum of the class weights of the pixels of a mask (B, H, W) that are not ignored, a scalar.

        Raises:
            UserError: On a CPU with class weights, a label is neither a class nor `ignore_index`.
        """
        if self.weight is not None:
            check_labels(mask, len(self.weight), self.ignore_index)
            mask, _ = guard_labels(mask, len(self.weight), self.ignore_index)
        return sum_of_weights(mask, self.ignore_index, self.weight)


class CrossEntropyTerm(LossTerm):
    """Cross-entropy of the pixels that are not ignored.

    Args:
        ignore_index: Mask value that is ignored.
        weight: (C,) weight of each class, or None.
        label_smoothing: Share of the target that is spread over all classes.
        mean: Whether the sum is divided by the weights of the pixels.
    """

    def __init__(
        self, ignore_index: int, weight: Tensor | None = None, label_smoothing: float = 0.0, mean: bool = True
    ) -> None:
        self.ignore_index = ignore_index
        self.weight = weight
        self.label_smoothing = label_smoothing
        self.mean = mean
        self.needs_logits = label_smoothing > 0

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Sum the weights of the pixels."""
        self.over_ranks = over_ranks
        self.value = torch.zeros((), device=logits.device)
        self.scale = torch.ones((), device=logits.device)
        if self.mean and not self.needs_statistics:
            self.scale = mean_scale(sum_of_weights(mask, self.ignore_index, self.weight), over_ranks)
        if self.label_smoothing:
            weight = self.value.new_ones(logits.shape[1]) if self.weight is None else self.weight
            self.spread = weight * (self.label_smoothing / logits.shape[1])

    def detects_bad_labels(self, logits: Tensor) -> bool:
        """The fused kernels do."""
        fused = logits.is_cuda and logits.shape[1] <= FUSED_CLASSES and find_spec("triton") is not None
        return fused and not self.needs_statistics

    def compute_directly(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """Run the fused kernels on a GPU, where Triton is installed with torch."""
        if not self.detects_bad_labels(logits):
            return False
        from seglight.losses.fused_cross_entropy import fused_cross_entropy

        loss, denominator, backward = fused_cross_entropy(
            logits, mask, self.ignore_index, self.weight, self.label_smoothing
        )
        scale = mean_scale(denominator, over_ranks) if self.mean else torch.ones_like(denominator)
        self.value = loss * scale
        self.gradient = backward(scale) if needs_gradient else None
        return True

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        """Weight of each pixel's target, divided by the weight of all pixels."""
        by_nll, by_all_nll = self.sum_gradient(pixels)
        self.value += pixel_losses(pixels, by_nll, by_all_nll).sum() * self.scale
        return BandGradient(
            by_nll=by_nll * self.scale, by_all_nll=None if by_all_nll is None else by_all_nll * self.scale
        )

    def sum_gradient(self, pixels: BandPixels) -> tuple[Tensor, Tensor | None]:
        """Gradient of the plain sum with respect to -log p of the target (b, P), and to that of all classes (C,)."""
        share = pixels.valid if self.weight is None else self.weight[pixels.target] * pixels.valid
        return share * (1 - self.label_smoothing), self.spread if self.label_smoothing else None


def pixel_losses(pixels: BandPixels, by_nll: Tensor, by_all_nll: Tensor | None) -> Tensor:
    """Cross-entropy of each pixel of a band.

    Args:
        pixels: Pixels of the band.
        by_nll: (b, P) factor of -log p of the target.
        by_all_nll: (C,) factor of -log p of each class, or None for 0.

    Returns:
        (b, P), 0 where ignored.
    """
    losses = by_nll * pixels.nll
    if by_all_nll is None or pixels.logits is None:
        return losses
    everywhere = by_all_nll.sum() * pixels.sum_exps.log() - torch.einsum("c,bcp->bp", by_all_nll, pixels.logits)
    return losses + everywhere.masked_fill_(~pixels.valid, 0)


def sum_of_weights(mask: Tensor, ignore_index: int, weight: Tensor | None) -> Tensor:
    """Sum of the weights of all pixels that are not ignored, a scalar.

    Args:
        mask: (B, H, W).
        ignore_index: Mask value that is ignored.
        weight: (C,) weight of each class; None for 1 each.
    """
    if weight is None:
        return (mask != ignore_index).sum()
    total = weight.new_zeros(())
    for labels in mask:  # an image at a time, because indices are int64
        valid = labels != ignore_index
        total += (weight[labels.long().masked_fill(~valid, 0)] * valid).sum()
    return total
