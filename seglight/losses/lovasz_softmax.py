"""The Lovász-Softmax loss: from histograms of errors in a band pass, or exact, class by class.

A class's error at a pixel is 1 - p on the class and p elsewhere. Its loss is that of Berman et al. 2018, "The
Lovász-Softmax loss: A tractable surrogate for the optimization of the intersection-over-union measure": the sum of the
sorted errors, each multiplied by what its pixel adds to the Jaccard distance D of the pixels so far. So it is linear
between ties, L(e) = max of <w, e> over a set of weights w >= 0 that add up to D(all) <= 1 (D is submodular). From that
follows, with errors e and each of them moved to the middle of its bin, e', where |e - e'| <= 1 / (2 bins) everywhere:

- Value: |L(e) - L(e')| <= max |e - e'| * sum(w) <= 1 / (2 bins). A mean over classes and images keeps the bound.
- Gradient: let w' be weights with <w', e'> = L(e'). Then for all errors f, L(f) >= <w', f> = <w', e'> + <w', f - e'>
  >= L(e) + <w', f - e> - 1 / bins: w' is a subgradient of L at e up to 1 / bins (an epsilon-subgradient).

The pixels of a bin tie, and every order of them gives such a w'. The mean of two is used: the bin's pixels of the class
first, and last. In a bin where all pixels are of one kind this is the mean of their exact weights.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seglight.losses.band_pass import BandGradient, BandPixels, LossTerm
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.losses.by_class import by_class
from seglight.system.ranks import sum_over_ranks, world_size


class LovaszSoftmax(BandedLoss):
    """A surrogate of 1 - IoU of each class, averaged over classes: Berman et al. 2018, "The Lovász-Softmax loss".

    With `bins`, errors are counted in a histogram instead of being sorted: the value is within 1 / (2 bins) of the
    exact one, and the gradient is one of the exact loss up to 1 / bins (proof at the top of `lovasz_softmax.py`). In
    training the batch is that of all processes: their gradient is that of one process with all images.

    Without bins, the errors of a class are sorted, one class after the other; the batch is then a process's own. Errors
    are computed in float32, also for float16 logits.

    Args:
        ignore_index: Mask value that is ignored.
        bins: Number of bins of the errors from 0 to 1; None for the exact form.
        classes: Classes that the mean is over: those that are in the labels, or all.
        per_image: Whether the loss is the mean of the losses of single images that have labels, instead of that of the
            batch.
    """

    def __init__(
        self,
        ignore_index: int,
        bins: int | None = 1024,
        classes: Literal["present", "all"] = "present",
        per_image: bool = False,
    ) -> None:
        super().__init__(ignore_index)
        check_range("loss.bins", 1 if bins is None else bins, 1)
        self.bins = bins
        self.classes = classes
        self.per_image = per_image

    def term(self) -> LossTerm:
        """The form in bins, or the exact one."""
        absent = self.classes == "all"
        if self.bins is None:
            return SortedLovaszTerm(self.ignore_index, absent, self.per_image)
        return BinnedLovaszTerm(self.bins, absent, self.per_image)


class BinnedLovaszTerm(LossTerm):
    """Lovász-Softmax of errors in bins.

    Counts are over all processes: N processes have the gradient of one with their joined batch.

    Args:
        bins: Number of bins of the errors from 0 to 1.
        absent: Whether classes without a pixel are part of the mean; their loss is their largest error.
        per_image: Whether the loss is the mean of the losses of single images that have labels.
    """

    needs_statistics = True

    def __init__(self, bins: int, absent: bool, per_image: bool) -> None:
        self.bins = bins
        self.absent = absent
        self.per_image = per_image

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Start counts at zero."""
        self.over_ranks = over_ranks
        groups, classes = (len(logits) if self.per_image else 1), logits.shape[1]
        self.on, self.off = torch.zeros(2, groups, classes, self.bins, dtype=torch.int64, device=logits.device)
        first = torch.arange(groups * classes, dtype=torch.int32, device=logits.device) * self.bins
        self.first = first.view(groups, classes, 1)
        """Index of each class's first bin, of an image or of the batch."""
        self.undefined = torch.zeros((), device=logits.device)
        """NaN where the probabilities of a labelled pixel are NaN, which fall into a bin like others; otherwise 0."""

    def accumulate(self, pixels: BandPixels) -> None:
        """Count errors by bin: all pixels as if they were off the class, then corrected for those on it."""
        group = self._group(pixels)
        self.undefined += 0 * pixels.sum_exps.masked_fill(~pixels.valid, 0).sum()
        everywhere, removed, added = self._indices(pixels)
        ignored = (~pixels.valid).sum(1)  # their p is 0
        self.off[group, :, 0] -= ignored.unsqueeze(1) if self.per_image else ignored.sum()
        last = self.off[group].numel()
        self.off[group] += self._count(everywhere, last)
        self.off[group] -= self._count(removed.masked_fill_(~pixels.valid, last), last)
        self.on[group] += self._count(added.masked_fill_(~pixels.valid, last), last)

    def finalize(self) -> None:
        """Compute the loss, and its gradient with respect to an error of each bin."""
        share = world_size() if self.over_ranks else 1
        counts = torch.stack((self.on, self.off))
        if self.over_ranks and not self.per_image:
            (counts,) = sum_over_ranks(counts)
        on, off = counts
        averaged = (counts.sum(0) if self.absent else on).sum(-1) > 0
        images = averaged.any(1).sum()
        if self.over_ranks and self.per_image:
            (images,) = sum_over_ranks(images)
        weight = averaged / (averaged.sum(1, keepdim=True) * images).clamp(min=1)
        value, by_on, by_off = lovasz_of_counts(on, off)
        self.value = (weight * value).sum().float() * (share if self.per_image else 1) + self.undefined
        weight = share * weight.unsqueeze(-1)
        self.by_on = (weight * by_on).float()
        self.by_off = (weight * by_off).float()

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        """By p of each class as if all pixels were off it, and by -log p of the target the difference on it."""
        group = self._group(pixels)
        by_on, by_off = self.by_on[group].flatten(), self.by_off[group].flatten()
        everywhere, removed, added = self._indices(pixels)
        own = by_on.index_select(0, added.flatten()) + by_off.index_select(0, removed.flatten())
        by_probs = by_off.index_select(0, everywhere.flatten()).view_as(pixels.probs)
        return BandGradient(by_nll=own.view_as(pixels.nll) * (-pixels.nll).exp() * pixels.valid, by_probs=by_probs)

    def _group(self, pixels: BandPixels) -> slice:
        """Entries of the counts that the images of a band belong to."""
        return pixels.band.images if self.per_image else slice(0, 1)

    def _indices(self, pixels: BandPixels) -> tuple[Tensor, Tensor, Tensor]:
        """Bins of the errors as if off each class (b, C, P), and of the target's class as if off and on it (b, P)."""
        first = self.first[: len(pixels.probs)]
        own = pixels.probs.gather(1, pixels.target.unsqueeze(1)).squeeze(1)
        target = first[:, 0] + self.bins * pixels.target.int()
        return self._bin(pixels.probs).add_(first), self._bin(own).add_(target), self._bin(1 - own).add_(target)

    def _bin(self, errors: Tensor) -> Tensor:
        return (errors * self.bins).int().clamp_(0, self.bins - 1)

    def _count(self, indices: Tensor, last: int) -> Tensor:
        """Counts (g, C, bins) of indices; those equal to `last` are not counted."""
        return torch.bincount(indices.flatten(), minlength=last + 1)[:last].view(-1, *self.on.shape[1:])


def lovasz_of_counts(on: Tensor, off: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Lovász extension of the Jaccard distance, for errors in the middle of their bins.

    Args:
        on: (..., bins) int64 number of pixels of the class by error, from 0 to 1.
        off: (..., bins) int64 number of pixels of other classes.

    Returns:
        The loss (...), and its gradient (..., bins) with respect to the error of one pixel of the class, and of one of
        another class.
    """
    total = on.sum(-1, keepdim=True).double()

    def distance(on: Tensor, off: Tensor) -> Tensor:
        # 1 - (total - on) / (total + off): the Jaccard distance with `on` missed pixels and `off` false ones
        return (on + off) / (total + off).clamp(min=1)

    on_after, off_after = (torch.cat((_sum_from(n), torch.zeros_like(total)), -1) for n in (on, off))
    f0, f1, b0, b1 = on_after[..., :-1], on_after[..., 1:], off_after[..., :-1], off_after[..., 1:]
    middle = (torch.arange(on.shape[-1], device=on.device) + 0.5) / on.shape[-1]
    none, class_first, class_last, both = distance(f1, b1), distance(f0, b1), distance(f1, b0), distance(f0, b0)
    value = (middle * (both - none)).sum(-1)
    by_on = (class_first - none + both - class_last) / (2 * on).clamp(min=1)
    by_off = (class_last - none + both - class_first) / (2 * off).clamp(min=1)
    return value, by_on, by_off


def _sum_from(counts: Tensor) -> Tensor:
    """Sum of each bin and those after it, float64."""
    return counts.flip(-1).cumsum(-1).flip(-1).double()


class SortedLovaszTerm(LossTerm):
    """Exact Lovász-Softmax of the batch, or of each image; of one process only.

    Args:
        ignore_index: Mask value that is ignored.
        absent: Whether classes without a pixel are part of the mean; their loss is their largest error.
        per_image: Whether the loss is the mean of the losses of single images that have labels.
    """

    def __init__(self, ignore_index: int, absent: bool, per_image: bool) -> None:
        self.ignore_index = ignore_index
        self.absent = absent
        self.per_image = per_image

    def compute_directly(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """Compute the loss class by class."""
        if not len(mask):
            self.value = logits.new_zeros((), dtype=torch.float32)
            self.gradient = torch.zeros_like(logits)
            return True
        step = 1 if self.per_image else len(mask)
        groups = [(logits[k : k + step], mask[k : k + step]) for k in range(0, len(mask), step)]
        labelled = torch.stack([(labels != self.ignore_index).any() for _, labels in groups]).sum()
        results = [self._loss(some, labels) for some, labels in groups]
        scale = 1 / labelled.clamp(min=1)
        self.value = torch.stack([value for value, _ in results]).sum().float() * scale
        self.gradient = torch.cat([gradient for _, gradient in results]) * scale
        return True

    def _loss(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Value, float64, and gradient of some images together."""
        valid = mask != self.ignore_index
        counts = torch.bincount(mask[valid].int(), minlength=logits.shape[1])
        averaged = (counts > 0) | (self.absent & valid.any())
        scale = 1 / averaged.sum().clamp(min=1)
        value = torch.zeros((), dtype=torch.float64, device=logits.device)

        def visit(label: int, p: Tensor) -> Tensor | None:
            if not averaged[label]:
                return None
            of_class = mask == label
            error = torch.where(of_class, 1 - p, p).clamp_(min=0).mul_(valid)
            weight = lovasz_weights(error, of_class, valid).mul_(scale)
            value.add_((weight * error).sum(dtype=torch.float64))
            return torch.where(of_class, -weight, weight).mul_(valid)

        gradient = by_class(logits, (mask.shape[-2], mask.shape[-1]), visit)
        return value, gradient


def lovasz_weights(error: Tensor, of_class: Tensor, valid: Tensor) -> Tensor:
    """Gradient of the Lovász extension of the Jaccard distance by each error: algorithm 1 of Berman et al. 2018.

    Args:
        error: (B, H, W) float32, from 0 to 1.
        of_class: (B, H, W) bool, the pixels of the class.
        valid: (B, H, W) bool, the pixels that are not ignored; the gradient of the others has no meaning.

    Returns:
        (B, H, W) float32.
    """
    # positive floats sort as their bits do: one integer holds the error, its position, and whether it is of the class
    keys = torch.where(valid, -error.view(torch.int32), 1).flatten().long()
    position = torch.arange(len(keys), device=keys.device)
    keys = keys.bitwise_left_shift_(31).bitwise_or_(position).bitwise_left_shift_(1).bitwise_or_(of_class.flatten())
    ordered = _sorted(keys)
    missed = (ordered & 1).cumsum_(0)
    total = missed[-1]
    distance = (position + 1) / (total + position + 1 - missed).double()
    distance[1:] -= distance[:-1].clone()
    order = ordered.bitwise_right_shift_(1).bitwise_and_(2**31 - 1)
    return torch.empty_like(error).view(-1).scatter_(0, order, distance.float()).view_as(error)


def _sorted(keys: Tensor) -> Tensor:
    """Ascending, on a CPU by numpy, which sorts integers faster than torch."""
    return torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort().values
