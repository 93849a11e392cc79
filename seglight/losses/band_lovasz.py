"""The Lovász-Softmax loss from histograms of errors, as a term of the walk.

A class's error at a pixel is 1 - p on the class and p elsewhere. Its loss is that of Berman et al. 2018, "The
Lovász-Softmax loss: A tractable surrogate for the optimization of the intersection-over-union measure": the sum of the
sorted errors, each times what its pixel adds to the Jaccard distance D of the pixels so far. So it is linear between
ties, L(e) = max of <w, e> over a set of weights w >= 0 that add up to D(all) <= 1 (D is submodular). From that follows,
with errors e and each of them at the middle of its bin, e', where |e - e'| <= 1 / (2 bins) everywhere:

- Value: |L(e) - L(e')| <= max |e - e'| * sum(w) <= 1 / (2 bins). A mean over classes and images keeps the bound.
- Slope: let w' be weights with <w', e'> = L(e'). Then for all errors f, L(f) >= <w', f> = <w', e'> + <w', f - e'>
  >= L(e) + <w', f - e> - 1 / bins: w' is a slope of L at e up to 1 / bins (an epsilon-subgradient of the exact loss).

The pixels of a bin tie, and every order of them gives such a w'. We take the mean of two: the bin's pixels of the class
first, and last. In a bin where all pixels are of one kind this is the mean of their exact weights.
"""

import torch
from torch import Tensor

from seglight.losses.band_pass import Pixels, Slope, Term
from seglight.system.ranks import sum_over_ranks, world_size


class LovaszTerm(Term):
    """Lovász-Softmax of errors in bins: value within 1 / (2 bins), the mean over classes, and over images if asked.

    Counts are over all processes: N processes have the gradient of one with their joined batch.

    Args:
        bins: Of the errors from 0 to 1.
        absent: Classes without a pixel count too: their loss is their largest error.
        per_image: The mean of the losses of images with a labelled pixel, in place of the loss of the batch.
    """

    looks = True

    def __init__(self, bins: int, absent: bool, per_image: bool) -> None:
        self.bins, self.absent, self.per_image = bins, absent, per_image

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        """Start counts at zero."""
        self.over_ranks = over_ranks
        groups, classes = (len(logits) if self.per_image else 1), logits.shape[1]
        self.on, self.off = torch.zeros(2, groups, classes, self.bins, dtype=torch.int64, device=logits.device)
        first = torch.arange(groups * classes, dtype=torch.int32, device=logits.device) * self.bins
        self.first = first.view(groups, classes, 1)
        """Index of each class's first bin, of an image or of the batch."""
        self.undefined = torch.zeros((), device=logits.device)
        """NaN where the probabilities of a labelled pixel are, which have a bin like any others; otherwise 0."""

    def look(self, pixels: Pixels) -> None:
        """Count errors by bin: all as if off their class, and then mend those of the pixels' own classes."""
        some = self._groups(pixels)
        self.undefined += 0 * pixels.total.masked_fill(~pixels.valid, 0).sum()
        everywhere, taken, given = self._indices(pixels)
        ignored = (~pixels.valid).sum(1)  # their p is 0
        self.off[some, :, 0] -= ignored.unsqueeze(1) if self.per_image else ignored.sum()
        last = self.off[some].numel()
        self.off[some] += self._count(everywhere, last)
        self.off[some] -= self._count(taken.masked_fill_(~pixels.valid, last), last)
        self.on[some] += self._count(given.masked_fill_(~pixels.valid, last), last)

    def settle(self) -> None:
        """Find the loss, and its slope by an error of each bin."""
        share = world_size() if self.over_ranks else 1
        counts = torch.stack((self.on, self.off))
        if self.over_ranks and not self.per_image:
            (counts,) = sum_over_ranks(counts)
        on, off = counts
        counted = (counts.sum(0) if self.absent else on).sum(-1) > 0
        images = counted.any(1).sum()
        if self.over_ranks and self.per_image:
            (images,) = sum_over_ranks(images)
        weight = counted / (counted.sum(1, keepdim=True) * images).clamp(min=1)
        value, by_on, by_off = lovasz_of_counts(on, off)
        self.value = (weight * value).sum().float() * (share if self.per_image else 1) + self.undefined
        weight = share * weight.unsqueeze(-1)
        self.by_on, self.by_off = (weight * by_on).float(), (weight * by_off).float()

    def slope(self, pixels: Pixels) -> Slope:
        """By p of each class as if all pixels were off it, and by -log p of its own class what is different there."""
        some = self._groups(pixels)
        by_on, by_off = self.by_on[some].flatten(), self.by_off[some].flatten()
        everywhere, taken, given = self._indices(pixels)
        own = by_on.index_select(0, given.flatten()) + by_off.index_select(0, taken.flatten())
        dense = by_off.index_select(0, everywhere.flatten()).view_as(pixels.p)
        return Slope(nll=own.view_as(pixels.nll) * (-pixels.nll).exp() * pixels.valid, dense=dense)

    def _groups(self, pixels: Pixels) -> slice:
        """Which counts the images of a band go to."""
        return pixels.band.images if self.per_image else slice(0, 1)

    def _indices(self, pixels: Pixels) -> tuple[Tensor, Tensor, Tensor]:
        """Bins of the errors as if off each class (b, C, P), and of the target's class as if off and on it (b, P)."""
        first = self.first[: len(pixels.p)]
        own = pixels.p.gather(1, pixels.target.unsqueeze(1)).squeeze(1)
        target = first[:, 0] + self.bins * pixels.target.int()
        return self._bin(pixels.p).add_(first), self._bin(own).add_(target), self._bin(1 - own).add_(target)

    def _bin(self, errors: Tensor) -> Tensor:
        return (errors * self.bins).int().clamp_(0, self.bins - 1)

    def _count(self, indices: Tensor, last: int) -> Tensor:
        """Counts (g, C, bins) of indices; those equal to `last` count for nothing."""
        return torch.bincount(indices.flatten(), minlength=last + 1)[:last].view(-1, *self.on.shape[1:])


def lovasz_of_counts(on: Tensor, off: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Lovász extension of the Jaccard distance, of errors that stand in the middle of their bins.

    Args:
        on: (..., bins) int64 pixels of the class by error, from 0 to 1.
        off: (..., bins) int64 pixels of other classes.

    Returns:
        The loss (...), and its slope (..., bins) by the error of one pixel of the class, and of one of another.
    """
    total = on.sum(-1, keepdim=True).double()

    def distance(on: Tensor, off: Tensor) -> Tensor:
        # 1 - (total - on) / (total + off): the Jaccard distance where so many are missed and so many false
        return (on + off) / (total + off).clamp(min=1)

    on_after, off_after = (torch.cat((_from_the_last(n), torch.zeros_like(total)), -1) for n in (on, off))
    f0, f1, b0, b1 = on_after[..., :-1], on_after[..., 1:], off_after[..., :-1], off_after[..., 1:]
    middle = (torch.arange(on.shape[-1], device=on.device) + 0.5) / on.shape[-1]
    none, class_first, class_last, both = distance(f1, b1), distance(f0, b1), distance(f1, b0), distance(f0, b0)
    value = (middle * (both - none)).sum(-1)
    by_on = (class_first - none + both - class_last) / (2 * on).clamp(min=1)
    by_off = (class_last - none + both - class_first) / (2 * off).clamp(min=1)
    return value, by_on, by_off


def _from_the_last(counts: Tensor) -> Tensor:
    """Counts of each bin and those after it."""
    return counts.flip(-1).cumsum(-1).flip(-1).double()
