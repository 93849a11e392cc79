"""One pass over the bands for a sum of losses, with the gradient computed while a band is in memory.

A loss is a `LossTerm`. At a pixel it depends on the class probabilities and the target, and its gradient has few kinds
of parts: one at the target only, one that is the same for all pixels, and a dense one. The pass computes one softmax a
band for all terms, adds up their parts, and goes back through softmax and upsampling once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seglight.ops.bands import Band, add_band_gradient, bands, full_precision


@dataclass
class BandPixels:
    """The P pixels of a band, with everything that losses read of them.

    Attributes:
        band: Position of the band; `band.of` brings other maps into its order of pixels.
        logits: (b, C, P) upsampled logits minus the largest of each pixel; None if no term has `needs_logits`.
        exps: (b, C, P) exponentials of these logits; `probs` overwrites them.
        sum_exps: (b, P) sum of the exponentials over the classes.
        target: (b, P) int64 class index, 0 where ignored.
        valid: (b, P) bool, False where ignored.
        nll: (b, P) -log p of the target, 0 where ignored.
    """

    band: Band
    logits: Tensor | None
    exps: Tensor
    sum_exps: Tensor
    target: Tensor
    valid: Tensor
    nll: Tensor

    @cached_property
    def probs(self) -> Tensor:
        """(b, C, P) softmax, 0 where ignored. Read only."""
        return self.exps.mul_((self.valid / self.sum_exps).unsqueeze(1))


@dataclass
class BandGradient:
    """The gradient of a loss at the pixels of a band, as the sum of up to four parts.

    Attributes:
        by_nll: (b, P) gradient with respect to -log p of the target; 0 where ignored.
        by_all_nll: (C,) gradient with respect to -log p of each class, at every pixel that is not ignored.
        by_class: (C,) gradient with respect to p of each class, at every pixel that is not ignored.
        by_probs: (b, C, P) gradient with respect to p of each class; any value where ignored.
    """

    by_nll: Tensor | None = None
    by_all_nll: Tensor | None = None
    by_class: Tensor | None = None
    by_probs: Tensor | None = None


class LossTerm:
    """A loss of the probabilities of all pixels; a new object for each call.

    Attributes:
        needs_statistics: Whether a pass over all pixels (`accumulate`, `finalize`) precedes that of `backward_band`.
        needs_logits: Whether the term reads `BandPixels.logits`.
        value: Scalar float32, complete after the last pass.
        gradient: (B, C, h, w) gradient with respect to the logits, of a term that was computed directly.
    """

    needs_statistics = False
    needs_logits = False
    value: Tensor
    gradient: Tensor | None = None

    def detects_bad_labels(self, logits: Tensor) -> bool:
        """Whether, on a GPU, `value` is NaN if a label is neither a class nor ignored, without `guard_labels`."""
        return False

    def compute_directly(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """Compute `value` and `gradient` without a band pass, and return True; return False if that is not possible."""
        return False

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Prepare for the passes.

        Args:
            logits: (B, C, h, w).
            mask: (B, H, W).
            over_ranks: Whether sums are taken over all processes.
        """

    def accumulate(self, pixels: BandPixels) -> None:
        """Add the statistics of a band, in the first pass of a term with `needs_statistics`."""

    def finalize(self) -> None:
        """Turn the accumulated statistics into what `backward_band` needs, after the first pass."""

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        """Return the gradient at the pixels of a band; add the band's part to `value` unless `finalize` computed it.

        Where sums are taken over processes, the gradient is `world_size` times that of the whole, because the gradients
        of the processes are averaged afterwards.
        """
        raise NotImplementedError


def banded_loss(
    logits: Tensor,
    mask: Tensor,
    ignore_index: int,
    terms: Sequence[LossTerm],
    weights: Sequence[float],
    over_ranks: bool,
) -> Tensor:
    """Compute the weighted sum of terms on the softmax of the upsampled logits.

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type: class index or ignore_index.
        ignore_index: Mask value that is ignored.
        terms: New terms, used for this call only.
        weights: Weight of each term.
        over_ranks: Whether, in training, means are over the pixels of all processes, whose gradients are averaged.

    Returns:
        Scalar, float32; on a GPU it is NaN if a label is neither a class nor ignore_index.
    """
    guard: Tensor | None = None
    if not all(term.detects_bad_labels(logits) for term in terms):
        mask, guard = guard_labels(mask, logits.shape[1], ignore_index)
    loss: Tensor = _BandedLoss.apply(logits, mask, ignore_index, terms, weights, over_ranks and logits.requires_grad)
    return loss if guard is None else loss * guard


def guard_labels(mask: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor | None]:
    """Make a mask safe to index by on a GPU, where the host would have to wait for the device to raise an error.

    On a CPU, `check_labels` has refused wrong labels before.

    Args:
        mask: (B, H, W).
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Returns:
        The mask, with 0 in place of labels that are neither a class nor ignore_index, and a factor for the loss: scalar
        float32, NaN if a label was replaced, otherwise 1. On a CPU the mask itself and None.
    """
    if not mask.is_cuda:
        return mask, None
    outside = ((mask < 0) | (mask >= num_classes)) & (mask != ignore_index)
    return mask.masked_fill(outside, 0), torch.ones((), device=mask.device).masked_fill(outside.any(), torch.nan)


def band_pixels(logits: Tensor, mask: Tensor, ignore_index: int, needs_logits: bool = False) -> Iterator[BandPixels]:
    """Yield the pixels of each band, within `full_precision`.

    Args:
        logits: (B, C, h, w).
        mask: (B, H, W).
        ignore_index: Mask value that is ignored.
        needs_logits: Whether `BandPixels.logits` is kept.
    """
    for band in bands(logits, (mask.shape[-2], mask.shape[-1])):
        target = band.of(mask)
        valid = target != ignore_index
        target = (target * valid).long()
        shifted = band.values.sub_(band.values.amax(1, keepdim=True))
        at_target = shifted.gather(1, target.unsqueeze(1)).squeeze(1)
        exps = shifted.exp() if needs_logits else shifted.exp_()
        sum_exps = exps.sum(1)
        nll = sum_exps.log().sub_(at_target).masked_fill_(~valid, 0)
        yield BandPixels(band, shifted if needs_logits else None, exps, sum_exps, target, valid, nll)
        del band, shifted, exps  # otherwise two bands are in memory at a time


def gradient_by_logits(pixels: BandPixels, gradient: BandGradient) -> Tensor:
    """Gradient (b, C, P) with respect to the upsampled logits, from its parts; overwrites `pixels.probs`."""
    p = pixels.probs
    coefficient = torch.zeros_like(pixels.nll) if gradient.by_nll is None else gradient.by_nll
    if gradient.by_all_nll is not None:
        coefficient = coefficient + gradient.by_all_nll.sum()
    by_probs = gradient.by_probs
    if gradient.by_class is not None:
        by_class = gradient.by_class.unsqueeze(1)
        by_probs = by_class if by_probs is None else by_probs + by_class
    if by_probs is None:
        result = p.mul_(coefficient.unsqueeze(1))
    else:
        part = p * by_probs
        result = torch.addcmul(part, p, (coefficient - part.sum(1)).unsqueeze(1), out=p)
    if gradient.by_all_nll is not None:
        result.addcmul_(pixels.valid.unsqueeze(1), gradient.by_all_nll.unsqueeze(1), value=-1)
    if gradient.by_nll is not None:
        target = pixels.target.unsqueeze(1)
        # scatter_add_ is not deterministic on CUDA
        result.scatter_(1, target, result.gather(1, target) - gradient.by_nll.unsqueeze(1))
    return result


def refuse_second_derivative() -> None:
    """Raise in a backward pass with create_graph: the gradient was computed without a graph of its own.

    Raises:
        RuntimeError: The backward pass was called with create_graph.
    """
    if torch.is_grad_enabled():  # create_graph
        raise RuntimeError("a loss in bands has no second derivative: call it without create_graph")


class _BandedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        mask: Tensor,
        ignore_index: int,
        terms: Sequence[LossTerm],
        weights: Sequence[float],
        over_ranks: bool,
    ) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        pairs = list(zip(terms, weights, strict=True))
        with torch.autocast(logits.device.type, enabled=False), full_precision():
            banded = [pair for pair in pairs if not pair[0].compute_directly(logits, mask, over_ranks, needs_gradient)]
            gradients = [(weight, term.gradient) for term, weight in pairs if term.gradient is not None]
            if banded:
                gradients.append((1.0, _band_pass(logits, mask, ignore_index, banded, over_ranks, needs_gradient)))
        if needs_gradient:
            # in the layout of the logits: a convolution's backward pass is slower where the two differ
            channels_last = logits.is_contiguous(memory_format=torch.channels_last)
            layout = torch.channels_last if channels_last else torch.contiguous_format
            ctx.save_for_backward(_weighted_sum(gradients).contiguous(memory_format=layout))
            ctx.dtype = logits.dtype
        return _weighted_sum([(weight, term.value) for term, weight in pairs])

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        refuse_second_derivative()
        (gradient,) = ctx.saved_tensors
        # float16 only after the loss scale is in grad_loss: a share of a mean over millions of pixels underflows
        return (gradient * grad_loss).to(ctx.dtype), None, None, None, None, None


def _band_pass(
    logits: Tensor,
    mask: Tensor,
    ignore_index: int,
    banded: Sequence[tuple[LossTerm, float]],
    over_ranks: bool,
    needs_gradient: bool,
) -> Tensor:
    """Compute the values of terms, and return the weighted sum of their gradients by the logits (B, C, h, w)."""
    gradient = torch.zeros(logits.shape if needs_gradient else (), device=logits.device)
    for term, _ in banded:
        term.begin(logits, mask, over_ranks)
    _statistics_pass(logits, mask, ignore_index, [term for term, _ in banded if term.needs_statistics])
    for pixels in band_pixels(logits, mask, ignore_index, any(term.needs_logits for term, _ in banded)):
        parts = [(term.backward_band(pixels), weight) for term, weight in banded]
        if needs_gradient:
            add_band_gradient(gradient, pixels.band, gradient_by_logits(pixels, _summed(parts)))
        del pixels, parts
    return gradient


def _statistics_pass(logits: Tensor, mask: Tensor, ignore_index: int, terms: Sequence[LossTerm]) -> None:
    """Accumulate and finalize the statistics of terms, in one pass for all of them."""
    if not terms:
        return
    for pixels in band_pixels(logits, mask, ignore_index, any(term.needs_logits for term in terms)):
        for term in terms:
            term.accumulate(pixels)
        del pixels
    for term in terms:
        term.finalize()


def _weighted_sum(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    (weight, total), *others = parts
    total = total if weight == 1 else weight * total
    for weight, part in others:
        total = torch.add(total, part, alpha=weight)
    return total


def _summed(gradients: Iterable[tuple[BandGradient, float]]) -> BandGradient:
    """The weighted sum of gradients, part by part."""
    total = BandGradient()
    for gradient, weight in gradients:
        total.by_nll = _added(total.by_nll, gradient.by_nll, weight)
        total.by_all_nll = _added(total.by_all_nll, gradient.by_all_nll, weight)
        total.by_class = _added(total.by_class, gradient.by_class, weight)
        total.by_probs = _added(total.by_probs, gradient.by_probs, weight)
    return total


def _added(total: Tensor | None, part: Tensor | None, weight: float) -> Tensor | None:
    if part is None:
        return total
    return weight * part if total is None else total + weight * part
