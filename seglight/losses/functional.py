"""The losses as functions of logits at the head's stride, without full-resolution logits.

Each function upsamples the logits bilinearly to the size of the mask and computes the loss of their softmax band by
band, by the same code as the class of the same name. The gradient is computed in the forward pass, and nothing of full
resolution is kept for the backward pass. Unlike the classes, the functions never sum over processes.

All of them take logits (B, C, h, w) of any floating point type and a mask (B, H, W) of any integer type. They return a
scalar, float32, which is 0 if all pixels are ignored. They raise a `UserError` if a shape, a type or an argument does
not fit, or on a CPU, if a label is neither a class nor `ignore_index`. On a GPU, for which the host does not wait, such
a label makes the loss NaN. There is no second derivative: a backward pass with create_graph raises a RuntimeError.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from seglight.losses.band_pass import (
    BandGradient,
    LossTerm,
    band_pixels,
    banded_loss,
    gradient_by_logits,
    guard_labels,
    refuse_second_derivative,
)
from seglight.losses.banded_loss import check_class_weights, check_range
from seglight.losses.boundary import BoundaryTerm
from seglight.losses.cross_entropy import CrossEntropyTerm, pixel_losses
from seglight.losses.focal import FocalTerm
from seglight.losses.lovasz_softmax import BinnedLovaszTerm, SortedLovaszTerm
from seglight.losses.ohem import OHEMTerm
from seglight.losses.tversky import TverskyTerm
from seglight.ops.bands import add_band_gradient, full_precision
from seglight.ops.label_values import check_loss_inputs


def upsampled_cross_entropy(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Cross-entropy, equal to `F.cross_entropy(F.interpolate(logits, mask.shape[-2:], mode="bilinear"), mask)`.

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        weight: (C,) weight of each class, or None. The mean is weighted by it, as in torch.
        label_smoothing: Share of the target that is spread over all classes, from 0 to 1.
        reduction: "mean" over the pixels that are not ignored, "sum", or "none" for the loss of each pixel.

    Returns:
        Scalar, float32; (B, H, W) for "none". Unlike torch's, a mean over no pixels is 0.
    """
    check_loss_inputs(logits, mask, ignore_index)
    check_class_weights("weight", weight, logits.shape[1])
    check_range("label_smoothing", label_smoothing, 0, 1)
    if reduction == "none":
        term = CrossEntropyTerm(ignore_index, weight, label_smoothing, mean=False)
        mask, guard = guard_labels(mask, logits.shape[1], ignore_index)
        losses: Tensor = _PixelLosses.apply(logits, mask, term)
        return losses if guard is None else losses * guard
    return _loss(
        logits, mask, ignore_index, CrossEntropyTerm(ignore_index, weight, label_smoothing, mean=reduction == "mean")
    )


def ohem_cross_entropy(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    weight: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over the hard pixels, as `seglight.losses.OHEMCrossEntropy` (Shrivastava et al. 2016).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        threshold: Probability of a pixel's class below which the pixel is hard.
        min_kept: Smallest number of pixels of the batch that are used, those of lowest probability.
        weight: (C,) weight of each class, or None. The mean is weighted by it.

    Returns:
        Scalar, float32.
    """
    check_loss_inputs(logits, mask, ignore_index)
    check_class_weights("weight", weight, logits.shape[1])
    check_range("threshold", threshold, 0, 1)
    check_range("min_kept", min_kept, 0)
    return _loss(logits, mask, ignore_index, OHEMTerm(ignore_index, weight, threshold, min_kept))


def focal(
    logits: Tensor, mask: Tensor, *, ignore_index: int, gamma: float = 2.0, weight: Tensor | None = None
) -> Tensor:
    """Focal loss, as `seglight.losses.Focal` (Lin et al. 2017, equation 5, with a softmax over all classes).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        gamma: Exponent that reduces the loss of pixels that are right already; 0 is cross-entropy.
        weight: (C,) alpha of each class, or None for 1. The mean is not weighted by it.

    Returns:
        Scalar, float32.
    """
    check_loss_inputs(logits, mask, ignore_index)
    check_class_weights("weight", weight, logits.shape[1])
    check_range("gamma", gamma, 0)
    return _loss(logits, mask, ignore_index, FocalTerm(ignore_index, gamma, weight))


def dice(logits: Tensor, mask: Tensor, *, ignore_index: int, smooth: float = 0.0) -> Tensor:
    """Soft Dice loss, as `seglight.losses.Dice` (Milletari et al. 2016, with the sums of Sudre et al. 2017).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        smooth: Number of pixels added to half of the numerator and half of the denominator.

    Returns:
        Scalar, float32, the mean over the classes that are present.
    """
    return tversky(logits, mask, ignore_index=ignore_index, alpha=0.5, beta=0.5, smooth=smooth)


def tversky(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 0.0,
) -> Tensor:
    """Tversky loss and focal Tversky loss, as `seglight.losses.Tversky` (Salehi et al. 2017, Abraham & Khan 2019).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        gamma: Inverse of the exponent of each class's loss.
        smooth: Number of pixels added to the numerator and the denominator.

    Returns:
        Scalar, float32, the mean over the classes that are present.
    """
    check_loss_inputs(logits, mask, ignore_index)
    check_range("alpha", alpha, 0)
    check_range("beta", beta, 0)
    check_range("smooth", smooth, 0)
    check_range("gamma", gamma, 0.01)
    return _loss(logits, mask, ignore_index, TverskyTerm(alpha, beta, smooth, 1 / gamma))


def lovasz_softmax(
    logits: Tensor,
    mask: Tensor,
    *,
    ignore_index: int,
    bins: int | None = 1024,
    classes: Literal["present", "all"] = "present",
    per_image: bool = False,
) -> Tensor:
    """Lovász-Softmax loss, as `seglight.losses.LovaszSoftmax` (Berman et al. 2018).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        bins: Number of bins of the errors from 0 to 1; None for the exact form.
        classes: Classes that the mean is over: those that are in the labels, or all.
        per_image: Whether the loss is the mean of the losses of single images that have labels.

    Returns:
        Scalar, float32; within 1 / (2 bins) of the exact form.
    """
    check_loss_inputs(logits, mask, ignore_index)
    if bins is None:
        return _loss(logits, mask, ignore_index, SortedLovaszTerm(ignore_index, classes == "all", per_image))
    check_range("bins", bins, 1)
    return _loss(logits, mask, ignore_index, BinnedLovaszTerm(bins, classes == "all", per_image))


def boundary(logits: Tensor, mask: Tensor, *, ignore_index: int) -> Tensor:
    """Boundary loss, as `seglight.losses.BoundaryLoss` (Kervadec et al. 2019, equation 5).

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.

    Returns:
        Scalar, float32; it can be negative.
    """
    check_loss_inputs(logits, mask, ignore_index)
    return _loss(logits, mask, ignore_index, BoundaryTerm(ignore_index))


def _loss(logits: Tensor, mask: Tensor, ignore_index: int, term: LossTerm) -> Tensor:
    return banded_loss(logits, mask, ignore_index, [term], [1.0], over_ranks=False)


class _PixelLosses(torch.autograd.Function):
    """Cross-entropy of each pixel. Its gradient depends on what follows, so that the backward pass goes over bands."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor, term: CrossEntropyTerm) -> Tensor:
        losses = torch.empty(mask.shape, device=logits.device)
        with torch.autocast(logits.device.type, enabled=False), full_precision():
            term.begin(logits, mask, over_ranks=False)
            for pixels in band_pixels(logits, mask, term.ignore_index, term.needs_logits):
                pixels.band.put(losses, pixel_losses(pixels, *term.sum_gradient(pixels)))
        ctx.save_for_backward(logits, mask)
        ctx.term = term
        return losses

    @staticmethod
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor, None, None]:
        refuse_second_derivative()
        logits, mask = ctx.saved_tensors
        gradient = torch.zeros(logits.shape, device=logits.device)
        with full_precision():
            for pixels in band_pixels(logits, mask, ctx.term.ignore_index):
                by_nll, by_all_nll = ctx.term.sum_gradient(pixels)
                by_logits = gradient_by_logits(pixels, BandGradient(by_nll=by_nll, by_all_nll=by_all_nll))
                by_logits = by_logits * pixels.band.of(grad_losses).unsqueeze(1)
                add_band_gradient(gradient, pixels.band, by_logits)
        return gradient.to(logits.dtype), None, None
