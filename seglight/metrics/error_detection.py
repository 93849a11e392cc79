"""Average precision of a low confidence as a detector of wrong pixels."""

import math
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from seglight.metrics.calibration import labelled_bands

OCTAVES = 24
"""Uncertainties are resolved from 1 down to 2 ** -24, the precision of probabilities in float32."""

STEPS = 32
"""Bins for each halving of the uncertainty."""


class ErrorDetection(Metric):
    """Average precision of the uncertainty as a score for "the predicted class is wrong", over all pixels of the split.

    Hendrycks & Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks
    (ICLR 2017), section 2: the area under the precision-recall curve with errors as the positive class. The
    uncertainty is 1 - the largest softmax probability, sorted into 768 bins, 32 for each halving, because most pixels
    are nearly certain. The score is the sum over the bins, from the most uncertain one, of the precision up to the bin
    times the growth of the recall: scikit-learn's `average_precision_score` of binned values. The states are integer
    sums: the same for any number of processes.

    Args:
        ignore_index: Mask value that is ignored.
        temperature: Divisor of the logits.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    right: Tensor
    wrong: Tensor

    def __init__(self, ignore_index: int, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignored = ignore_index
        self.temperature = temperature
        for state in ("right", "wrong"):
            self.add_state(state, torch.zeros(OCTAVES * STEPS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (B, C, h, w), upsampled to the size of `target` in bands.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
        """
        for values, labels in labelled_bands(logits, target, self.ignored):
            values = values / self.temperature
            largest, pred = values.max(1)
            index = uncertainty_bin(-torch.expm1(largest - values.logsumexp(1)))
            wrong = pred != labels
            self.right += torch.bincount(index[~wrong], minlength=OCTAVES * STEPS)
            self.wrong += torch.bincount(index[wrong], minlength=OCTAVES * STEPS)

    def compute(self) -> Tensor:
        """The average precision, a float64 scalar; NaN if no pixel is wrong."""
        wrong = self.wrong.flip(0).double()
        pixels = wrong + self.right.flip(0)
        total = wrong.sum()
        if total == 0:
            return torch.tensor(math.nan, dtype=torch.float64)
        precision = (wrong.cumsum(0) / pixels.cumsum(0)).nan_to_num()
        return (precision * wrong).sum() / total


def uncertainty_bin(uncertainty: Tensor) -> Tensor:
    """Index of the bin of uncertainties in [0, 1], float32 of any shape: the last bin is the most uncertain one."""
    edges = torch.exp2(torch.arange(1, OCTAVES * STEPS, dtype=torch.float64) / STEPS - OCTAVES).float()
    return torch.bucketize(uncertainty, edges.to(uncertainty.device))
