"""Cross-entropy of head-stride logits against a full-resolution mask, without full-resolution logits."""

import math
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seglight.losses.band_pass import (
    Pixels,
    Slope,
    Term,
    band_slope,
    banded_loss,
    guarded,
    pixels_of,
    refuse_second_derivative,
)
from seglight.ops.bands import add_band_gradient
from seglight.ops.label_values import check_loss_inputs
from seglight.system.ranks import mean_scale

FUSED = 1024
"""Classes up to which a thread block of a GPU holds all of a few pixels."""


class Ohem(NamedTuple):
    """Online hard example mining: only pixels whose target has a probability below `threshold` count.

    Where these are fewer than `min_kept`, the `min_kept` pixels of lowest probability count, and those equal to the
    last of them (Shrivastava et al. 2016, "Training Region-based Object Detectors with Online Hard Example Mining";
    both numbers as in Yuan et al. 2018, "OCNet").

    Attributes:
        threshold: A probability.
        min_kept: Pixels of the batch.
    """

    threshold: float = 0.7
    min_kept: int = 100_000


def upsampled_cross_entropy(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ohem: Ohem | tuple[float, int] | None = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Equal to `F.cross_entropy(F.interpolate(logits, mask.shape[-2:], mode="bilinear"), mask)`, in bands.

    The gradient is made in the forward pass, while a band is at hand: nothing of full resolution is kept.

    Args:
        logits: (B, C, h, w), any float.
        mask: (B, H, W), any integer: class index or ignore_index.
        ignore_index: Pixels of this value count for nothing; 0 is the loss where no other is left.
        weight: (C,) weight of each class, or None. The mean is weighted by it, as in torch.
        label_smoothing: Share of the target that is spread over all classes.
        ohem: (threshold, min_kept): only hard pixels count; see `Ohem`.
        reduction: "mean" over the pixels that count, "sum", or "none".

    Returns:
        Scalar, float32; (B, H, W) for "none".

    Raises:
        ValueError: `ohem` together with `label_smoothing` or with "none".
        UserError: As `check_loss_inputs`. On a GPU a label that is neither a class nor ignore_index makes it NaN.
    """
    check_loss_inputs(logits, mask, ignore_index)
    if ohem is not None and (label_smoothing or reduction == "none"):
        raise ValueError("ohem goes neither with label_smoothing nor with reduction='none': give one of them")
    if reduction == "none":
        term = CrossEntropyTerm(ignore_index, weight, label_smoothing, mean=False)
        mask, guard = guarded(mask, logits.shape[1], ignore_index)
        losses: Tensor = _LossMap.apply(logits, mask, term)
        return losses if guard is None else losses * guard
    if ohem is None:
        term = CrossEntropyTerm(ignore_index, weight, label_smoothing, mean=reduction == "mean")
    else:
        term = OhemTerm(ignore_index, weight, Ohem(*ohem), mean=reduction == "mean")
    return banded_loss(logits, mask, ignore_index, [term], [1.0], over_ranks=False)


class CrossEntropyTerm(Term):
    """Cross-entropy of the pixels that are not ignored.

    Args:
        ignore_index: Mask value that counts for nothing.
        weight: (C,) weight of each class, or None.
        label_smoothing: Share of the target that is spread over all classes.
        mean: Divide by the weight of the pixels that count.
    """

    def __init__(
        self, ignore_index: int, weight: Tensor | None = None, label_smoothing: float = 0.0, mean: bool = True
    ) -> None:
        self.ignore_index, self.weight, self.label_smoothing, self.mean = ignore_index, weight, label_smoothing, mean
        self.keeps_values = label_smoothing > 0

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Weigh the pixels that count."""
        self.over_ranks = over_ranks
        self.value = torch.zeros((), device=logits.device)
        self.scale = torch.ones((), device=logits.device)
        if self.mean and not self.looks:
            self.scale = mean_scale(class_weight(mask, self.ignore_index, self.weight), over_ranks)
        if self.label_smoothing:
            weight = self.value.new_ones(logits.shape[1]) if self.weight is None else self.weight
            self.spread = weight * (self.label_smoothing / logits.shape[1])

    def guards(self, logits: Tensor) -> bool:
        """The GPU's own kernels do."""
        return not self.looks and logits.is_cuda and logits.shape[1] <= FUSED and find_spec("triton") is not None

    def at_once(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """On a GPU, where Triton is: it comes with torch there."""
        if not self.guards(logits):
            return False
        from seglight.losses.fused_cross_entropy import fused_cross_entropy

        loss, mass, slope = fused_cross_entropy(logits, mask, self.ignore_index, self.weight, self.label_smoothing)
        scale = mean_scale(mass, over_ranks) if self.mean else torch.ones_like(mass)
        self.value = loss * scale
        self.gradient = slope(scale) if needs_gradient else None
        return True

    def slope(self, pixels: Pixels) -> Slope:
        """Weight of a pixel's target over the weight of all pixels."""
        nll, cross = self.parts(pixels)
        self.value += _losses(pixels, nll, cross).sum() * self.scale
        return Slope(nll=nll * self.scale, cross=None if cross is None else cross * self.scale)

    def parts(self, pixels: Pixels) -> tuple[Tensor, Tensor | None]:
        """Slopes by -log p of the target (b, P), and by that of all classes (C,), of the plain sum."""
        share = pixels.valid if self.weight is None else self.weight[pixels.target] * pixels.valid
        return share * (1 - self.label_smoothing), self.spread if self.label_smoothing else None


class OhemTerm(CrossEntropyTerm):
    """Cross-entropy of the hard pixels.

    Args:
        ignore_index: Mask value that counts for nothing.
        weight: (C,) weight of each class, or None.
        ohem: Which pixels are hard.
        mean: Divide by the weight of the hard pixels.
    """

    looks = True

    def __init__(self, ignore_index: int, weight: Tensor | None, ohem: Ohem, mean: bool = True) -> None:
        super().__init__(ignore_index, weight, mean=mean)
        self.ohem = ohem
        self.seen: list[tuple[Tensor, Tensor]] = []

    def look(self, pixels: Pixels) -> None:
        """Keep -log p of each target, and what it weighs."""
        self.above = torch.full_like(self.value, -1)
        weight, _ = self.parts(pixels)
        self.seen.append((pixels.nll.masked_fill(~pixels.valid, -1).flatten(), weight.flatten()))

    def settle(self) -> None:
        """Find from which loss on a pixel counts."""
        nll, weight = (torch.cat(parts) for parts in zip((self.value.new_empty(0),) * 2, *self.seen, strict=True))
        self.seen.clear()
        self.above = hard_above(nll, self.ohem)
        if self.mean:
            self.scale = mean_scale((weight * (nll > self.above)).sum(), self.over_ranks)

    def parts(self, pixels: Pixels) -> tuple[Tensor, Tensor | None]:
        """As of all pixels, 0 where they are not hard."""
        share, cross = super().parts(pixels)
        return share * (pixels.nll > self.above), cross


def hard_above(nll: Tensor, ohem: Ohem) -> Tensor:
    """The loss above which a pixel is hard: that of the threshold, or else an order statistic, found without a sort.

    Args:
        nll: (N,) -log p of the targets, -1 where ignored.
        ohem: Threshold and number of pixels.
    """
    above = nll.new_tensor(-math.log(ohem.threshold) if ohem.threshold > 0 else math.inf)
    if not len(nll) or _count(nll > above) >= ohem.min_kept:
        return above
    last = _in_order(nll, max(0, len(nll) - ohem.min_kept))
    return torch.nextafter(last, torch.full_like(last, -math.inf)).clamp(min=-0.5)  # all, where labels are too few


def _count(flags: Tensor) -> int:
    """How many flags (N,) are up; numpy counts them 5 times as fast as torch."""
    return int(np.count_nonzero(flags.numpy()) if flags.device.type == "cpu" else flags.count_nonzero())


def _in_order(values: Tensor, place: int) -> Tensor:
    """What stands at a place of the values (N,) in ascending order; numpy partitions 15 times as fast as torch."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.partition(values.numpy(), place)[place : place + 1]).squeeze(0)
    return values.kthvalue(place + 1).values


def _losses(pixels: Pixels, nll: Tensor, cross: Tensor | None) -> Tensor:
    """Loss of each pixel (b, P) whose slopes are `nll` by -log p of the target and `cross` by that of all classes."""
    losses = nll * pixels.nll
    if cross is None or pixels.values is None:
        return losses
    everywhere = cross.sum() * pixels.total.log() - torch.einsum("c,bcp->bp", cross, pixels.values)
    return losses + everywhere.masked_fill_(~pixels.valid, 0)


def class_weight(mask: Tensor, ignore_index: int, weight: Tensor | None) -> Tensor:
    """Sum of the weights (C,) of the pixels of a mask (B, H, W) that are not ignored; None weighs 1 each."""
    if weight is None:
        return (mask != ignore_index).sum()
    total = weight.new_zeros(())
    for labels in mask:  # an image at a time: indices are int64
        valid = labels != ignore_index
        total += (weight[labels.long().masked_fill(~valid, 0)] * valid).sum()
    return total


class _LossMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor, term: CrossEntropyTerm) -> Tensor:
        losses = torch.empty(mask.shape, device=logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            term.begin(logits, mask, over_ranks=False)
            for pixels in pixels_of(logits, mask, term.ignore_index, term.keeps_values):
                pixels.band.put(losses, _losses(pixels, *term.parts(pixels)))
        ctx.save_for_backward(logits, mask)
        ctx.term = term
        return losses

    @staticmethod
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor, None, None]:
        refuse_second_derivative()
        logits, mask = ctx.saved_tensors
        gradient = torch.zeros(logits.shape, device=logits.device)
        for pixels in pixels_of(logits, mask, ctx.term.ignore_index):
            nll, cross = ctx.term.parts(pixels)
            along = pixels.band.of(grad_losses)
            by_logits = band_slope(pixels, Slope(nll=nll, cross=cross)) * along.unsqueeze(1)
            add_band_gradient(gradient, pixels.band, by_logits)
        return gradient.to(logits.dtype), None, None
