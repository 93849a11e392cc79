"""Cross-entropy of the hard pixels only (online hard example mining)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seglight.losses.band_pass import BandPixels, LossTerm
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.losses.cross_entropy import CrossEntropyTerm
from seglight.system.ranks import mean_scale


class OHEMCrossEntropy(BandedLoss):
    """Mean cross-entropy over the hard pixels: those whose class has a probability below `threshold`.

    If there are fewer than `min_kept` of them, the `min_kept` pixels of lowest probability are used, and those that tie
    with the last of them. Online hard example mining is from Shrivastava et al. 2016, "Training Region-based Object
    Detectors with Online Hard Example Mining"; both arguments are as in Yuan et al. 2018, "OCNet". Each process finds
    the hard pixels of its own batch; the mean is over those of all processes.

    Args:
        ignore_index: Mask value that is ignored.
        threshold: Probability of a pixel's class below which the pixel is hard.
        min_kept: Smallest number of pixels of the batch that are used.
        class_weights: Weight of each class, in the order of the classes, or None. The mean is weighted by it.
    """

    def __init__(
        self,
        ignore_index: int,
        threshold: float = 0.7,
        min_kept: int = 100_000,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(ignore_index, class_weights)
        check_range("loss.threshold", threshold, 0, 1)
        check_range("loss.min_kept", min_kept, 0)
        self.threshold = threshold
        self.min_kept = min_kept

    def term(self) -> LossTerm:
        """Cross-entropy of the hard pixels."""
        return OHEMTerm(self.ignore_index, self.weight, self.threshold, self.min_kept)


class OHEMTerm(CrossEntropyTerm):
    """Mean cross-entropy of the hard pixels.

    Args:
        ignore_index: Mask value that is ignored.
        weight: (C,) weight of each class, or None.
        threshold: Probability of a pixel's class below which the pixel is hard.
        min_kept: Smallest number of pixels of the batch that are used.
    """

    needs_statistics = True

    def __init__(self, ignore_index: int, weight: Tensor | None, threshold: float, min_kept: int) -> None:
        super().__init__(ignore_index, weight)
        self.threshold = threshold
        self.min_kept = min_kept
        self.nll_and_weight: list[tuple[Tensor, Tensor]] = []

    def accumulate(self, pixels: BandPixels) -> None:
        """Keep -log p of each target, and its weight."""
        self.hard_above = torch.full_like(self.value, -1)
        weight, _ = self.sum_gradient(pixels)
        self.nll_and_weight.append((pixels.nll.masked_fill(~pixels.valid, -1).flatten(), weight.flatten()))

    def finalize(self) -> None:
        """Find the loss above which a pixel is hard."""
        none = self.value.new_empty(0)
        nll, weight = (torch.cat(parts) for parts in zip((none, none), *self.nll_and_weight, strict=True))
        self.nll_and_weight.clear()
        self.hard_above = hard_above(nll, self.threshold, self.min_kept)
        self.scale = mean_scale((weight * (nll > self.hard_above)).sum(), self.over_ranks)

    def sum_gradient(self, pixels: BandPixels) -> tuple[Tensor, Tensor | None]:
        """As for all pixels, but 0 where they are not hard."""
        share, by_all_nll = super().sum_gradient(pixels)
        return share * (pixels.nll > self.hard_above), by_all_nll


def hard_above(nll: Tensor, threshold: float, min_kept: int) -> Tensor:
    """The loss above which a pixel is hard: that of the threshold, or an order statistic, found without a sort.

    Args:
        nll: (N,) -log p of the targets, -1 where ignored.
        threshold: Probability of a pixel's class below which the pixel is hard.
        min_kept: Smallest number of pixels that are used.

    Returns:
        Scalar; below 0 if there are no more than `min_kept` labelled pixels.
    """
    above = nll.new_tensor(-math.log(threshold) if threshold > 0 else math.inf)
    if not len(nll) or _count(nll > above) >= min_kept:
        return above
    last = _order_statistic(nll, max(0, len(nll) - min_kept))
    return torch.nextafter(last, torch.full_like(last, -math.inf)).clamp(min=-0.5)


def _count(flags: Tensor) -> int:
    """Number of flags (N,) that are set, on a CPU by numpy, which is faster at it than torch."""
    return int(np.count_nonzero(flags.numpy()) if flags.device.type == "cpu" else flags.count_nonzero())


def _order_statistic(values: Tensor, index: int) -> Tensor:
    """An entry of the sorted values (N,), on a CPU by numpy, which is faster at it than torch."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.partition(values.numpy(), index)[index : index + 1]).squeeze(0)
    return values.kthvalue(index + 1).values
