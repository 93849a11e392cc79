"""One walk over the bands for a sum of losses, with the gradient made while a band is at hand.

A loss is a `Term`. Whatever it is, at a pixel it depends on the probabilities and the target, and its slope has few
kinds of parts: one at the target alone, one that is the same for all pixels, and a dense one. The walk makes one
softmax a band for all terms, adds up their parts, and goes back through softmax and upsampling once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seglight.ops.bands import Band, add_band_gradient, bands


@dataclass
class Pixels:
    """The P pixels of a band, as losses look at them.

    Attributes:
        band: Where they are; `band.of` brings other maps into their order.
        values: (b, C, P) upsampled logits less the largest of each pixel; only kept for terms with `keeps_values`.
        exps: (b, C, P) exp(values), until `p` takes their place.
        total: (b, P) their sum.
        target: (b, P) int64 class index, 0 where ignored.
        valid: (b, P) bool, False where ignored.
        nll: (b, P) -log p of the target, 0 where ignored.
    """

    band: Band
    values: Tensor | None
    exps: Tensor
    total: Tensor
    target: Tensor
    valid: Tensor
    nll: Tensor

    @cached_property
    def p(self) -> Tensor:
        """(b, C, P) softmax, 0 where ignored. Not to be written to."""
        return self.exps.mul_((self.valid / self.total).unsqueeze(1))


@dataclass
class Slope:
    """The slope of a loss at the pixels of a band, the sum of its parts.

    Attributes:
        nll: (b, P), by -log p of the target; 0 where ignored.
        cross: (C,), by -log p of each class, at every pixel that is not ignored.
        classes: (C,), by p of each class, at every pixel that is not ignored.
        dense: (b, C, P), by p of each class; anything where ignored.
    """

    nll: Tensor | None = None
    cross: Tensor | None = None
    classes: Tensor | None = None
    dense: Tensor | None = None


class Term:
    """A loss of the probabilities of all pixels; one object a call.

    Attributes:
        looks: It needs a walk over all pixels before its slope is known.
        keeps_values: It reads `Pixels.values`.
        value: Scalar float32, whole when the walk is over.
        gradient: (B, C, h, w), the slope by the logits of a term that was made at once, where it was asked for.
    """

    looks = False
    keeps_values = False
    value: Tensor
    gradient: Tensor | None = None

    def guards(self, logits: Tensor) -> bool:
        """Whether, on a GPU, a label that is neither a class nor ignored makes `value` NaN without `guarded`."""
        return False

    def at_once(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """Make `value` and `gradient` without a walk; False where there is no such way, and all else is called."""
        return False

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """See logits (B, C, h, w) and mask (B, H, W) before the walks; sums are taken over all processes if asked."""

    def look(self, pixels: Pixels) -> None:
        """Gather from a band in the first walk."""

    def settle(self) -> None:
        """The first walk is over."""

    def slope(self, pixels: Pixels) -> Slope:
        """Slope of the loss at the pixels of a band, whose share it adds to `value` unless `settle` made it whole.

        Where sums go over processes the slope is `world_size` times that of the whole: their mean is taken afterwards.
        """
        raise NotImplementedError


def banded_loss(
    logits: Tensor, mask: Tensor, ignore_index: int, terms: Sequence[Term], weights: Sequence[float], over_ranks: bool
) -> Tensor:
    """The weighted sum of the terms of the softmax of the upsampled logits.

    Args:
        logits: (B, C, h, w), any float.
        mask: (B, H, W), any integer: class index or ignore_index.
        ignore_index: Pixels of this value count for nothing.
        terms: Fresh ones.
        weights: One a term.
        over_ranks: While training, means are over the pixels of all processes, whose gradients are averaged after.

    Returns:
        Scalar, float32; on a GPU it is NaN where a label is neither a class nor ignore_index.
    """
    guard: Tensor | None = None
    if not all(term.guards(logits) for term in terms):
        mask, guard = guarded(mask, logits.shape[1], ignore_index)
    loss: Tensor = _BandedLoss.apply(logits, mask, ignore_index, terms, weights, over_ranks and logits.requires_grad)
    return loss if guard is None else loss * guard


def guarded(mask: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor | None]:
    """A mask by which kernels of a GPU can index, and what makes a loss NaN if a label had to be replaced for that.

    To raise an error there the host would have to wait for the device. On a CPU labels are checked beforehand.

    Args:
        mask: (B, H, W).
        num_classes: C.
        ignore_index: Mask value that counts for nothing.

    Returns:
        The mask, 0 where its label is neither a class nor ignore_index; and a scalar float32, 1 or NaN, or None on a
        CPU, where the mask is as it was.
    """
    if not mask.is_cuda:
        return mask, None
    outside = ((mask < 0) | (mask >= num_classes)) & (mask != ignore_index)
    return mask.masked_fill(outside, 0), torch.ones((), device=mask.device).masked_fill(outside.any(), torch.nan)


def pixels_of(logits: Tensor, mask: Tensor, ignore_index: int, keeps_values: bool = False) -> Iterator[Pixels]:
    """The pixels of all bands, as `banded_loss` takes them."""
    for band in bands(logits, (mask.shape[-2], mask.shape[-1])):
        target = band.of(mask)
        valid = target != ignore_index
        target = (target * valid).long()
        values = band.values.sub_(band.values.amax(1, keepdim=True))
        at_target = values.gather(1, target.unsqueeze(1)).squeeze(1)
        exps = values.exp() if keeps_values else values.exp_()
        total = exps.sum(1)
        nll = total.log().sub_(at_target).masked_fill_(~valid, 0)
        yield Pixels(band, values if keeps_values else None, exps, total, target, valid, nll)
        del band, values, exps  # or else two bands are held at a time


def band_slope(pixels: Pixels, slope: Slope) -> Tensor:
    """Slope by the upsampled logits (b, C, P), out of that by the probabilities; `pixels.p` is used up."""
    p = pixels.p
    coefficient = torch.zeros_like(pixels.nll) if slope.nll is None else slope.nll
    if slope.cross is not None:
        coefficient = coefficient + slope.cross.sum()
    by_p = slope.dense
    if slope.classes is not None:
        classes = slope.classes.unsqueeze(1)
        by_p = classes if by_p is None else by_p + classes
    if by_p is None:
        result = p.mul_(coefficient.unsqueeze(1))
    else:
        part = p * by_p
        result = torch.addcmul(part, p, (coefficient - part.sum(1)).unsqueeze(1), out=p)
    if slope.cross is not None:
        result.addcmul_(pixels.valid.unsqueeze(1), slope.cross.unsqueeze(1), value=-1)
    if slope.nll is not None:
        target = pixels.target.unsqueeze(1)
        # not scatter_add_, which is not deterministic on CUDA
        result.scatter_(1, target, result.gather(1, target) - slope.nll.unsqueeze(1))
    return result


def refuse_second_derivative() -> None:
    """Called in a backward pass: the gradient was made without a graph of its own.

    Raises:
        RuntimeError: One is asked for.
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
        terms: Sequence[Term],
        weights: Sequence[float],
        over_ranks: bool,
    ) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        pairs = list(zip(terms, weights, strict=True))
        with torch.autocast(logits.device.type, enabled=False):
            walking = [pair for pair in pairs if not pair[0].at_once(logits, mask, over_ranks, needs_gradient)]
            gradients = [(weight, term.gradient) for term, weight in pairs if term.gradient is not None]
            if walking:
                gradients.append((1.0, _walk(logits, mask, ignore_index, walking, over_ranks, needs_gradient)))
        if needs_gradient:
            # in the layout of the logits: a convolution's backward is slower where the two differ
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


def _walk(
    logits: Tensor,
    mask: Tensor,
    ignore_index: int,
    walking: Sequence[tuple[Term, float]],
    over_ranks: bool,
    needs_gradient: bool,
) -> Tensor:
    """Bring the terms' values about, and give the weighted sum of their slopes by the logits (B, C, h, w)."""
    gradient = torch.zeros(logits.shape if needs_gradient else (), device=logits.device)
    for term, _ in walking:
        term.begin(logits, mask, over_ranks)
    _look(logits, mask, ignore_index, [term for term, _ in walking if term.looks])
    for pixels in pixels_of(logits, mask, ignore_index, any(term.keeps_values for term, _ in walking)):
        slopes = [(term.slope(pixels), weight) for term, weight in walking]
        if needs_gradient:
            add_band_gradient(gradient, pixels.band, band_slope(pixels, _sum(slopes)))
        del pixels, slopes
    return gradient


def _weighted_sum(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    (weight, total), *others = parts
    total = total if weight == 1 else weight * total
    for weight, part in others:
        total = torch.add(total, part, alpha=weight)
    return total


def _look(logits: Tensor, mask: Tensor, ignore_index: int, terms: Sequence[Term]) -> None:
    if terms:
        for pixels in pixels_of(logits, mask, ignore_index, any(term.keeps_values for term in terms)):
            for term in terms:
                term.look(pixels)
            del pixels
        for term in terms:
            term.settle()


def _sum(slopes: Iterable[tuple[Slope, float]]) -> Slope:
    """The parts of all slopes, each times its weight."""
    total = Slope()
    for slope, weight in slopes:
        for part in ("nll", "cross", "classes", "dense"):
            own, others = getattr(slope, part), getattr(total, part)
            if own is not None:
                setattr(total, part, weight * own if others is None else others + weight * own)
    return total
