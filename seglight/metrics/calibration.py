"""Calibration error of the confidence, and the temperature that minimises the negative log-likelihood."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from seglight.ops.bands import bands, full_precision
from seglight.ops.label_values import check_labels, check_logits, check_shape

FIXED_POINT = 2**30
"""Units of the integers in which confidences are summed: exact in any order, for up to 2**33 pixels a bin."""

INVERSE_TEMPERATURES = tuple(2 ** (step / 2) for step in range(-8, 7))
"""1 / temperature from 1/16 to 8, a factor of sqrt(2) apart."""

SEARCHED = (1 / INVERSE_TEMPERATURES[-1], 1 / INVERSE_TEMPERATURES[0])
"""Lowest and highest temperature that `BestTemperature` finds."""


class Calibration(NamedTuple):
    """Calibration errors and the reliability table.

    Attributes:
        ece: Expected calibration error, scalar float64.
        mce: Maximum calibration error, scalar float64.
        pixels: (bins,) int64, number of pixels in each bin.
        confidence: (bins,) float64, mean confidence; NaN in an empty bin.
        accuracy: (bins,) float64, share of pixels whose class is right; NaN in an empty bin.
    """

    ece: Tensor
    mce: Tensor
    pixels: Tensor
    confidence: Tensor
    accuracy: Tensor


class CalibrationError(Metric):
    """Expected and maximum calibration error of the predicted class, over the pixels of the whole split.

    Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2: bins ((m-1)/M, m/M] of the largest
    softmax probability; ECE is the mean `|accuracy - confidence|` weighted by pixels, MCE the largest. The states are
    integer sums: the same for any number of processes.

    Args:
        ignore_index: Mask value that is ignored.
        bins: Number of bins M.
        temperature: Divisor of the logits; with that of `BestTemperature` the error is that after calibration.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    pixels: Tensor
    right: Tensor
    confidence: Tensor

    def __init__(self, ignore_index: int, bins: int = 15, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignored = ignore_index
        self.bins = bins
        self.temperature = temperature
        for state in ("pixels", "right", "confidence"):
            self.add_state(state, torch.zeros(bins, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (B, C, h, w), upsampled to the size of `target` in bands.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
        """
        edges = torch.linspace(0, 1, self.bins + 1, device=logits.device)[1:-1]
        for values, labels in labelled_bands(logits, target, self.ignored):
            values = values / self.temperature
            largest, pred = values.max(1)
            confidence = (largest - values.logsumexp(1)).exp()
            index = torch.bucketize(confidence, edges)
            self.pixels += torch.bincount(index, minlength=self.bins)
            self.right += torch.bincount(index[pred == labels], minlength=self.bins)
            self.confidence.index_add_(0, index, (confidence.double() * FIXED_POINT).round().long())

    def compute(self) -> Calibration:
        """Errors and reliability table; the errors are NaN if nothing was counted."""
        confidence = self.confidence.double() / FIXED_POINT / self.pixels
        accuracy = self.right.double() / self.pixels
        gap = (accuracy - confidence).abs().nan_to_num()
        total = self.pixels.sum()
        mce = torch.where(total > 0, gap.max(), math.nan)
        return Calibration((gap * self.pixels).sum() / total, mce, self.pixels.clone(), confidence, accuracy)


class BestTemperature(Metric):
    """The temperature with the smallest mean negative log-likelihood over the pixels of the whole split.

    Guo et al. (2017), section 4.2. No logits are kept. The states are, for 15 temperatures from 1/8 to 16 that are a
    factor of sqrt(2) apart, the sums of the first and the second derivative of the negative log-likelihood, which is
    convex in 1 / temperature. The minimum is where the first derivative, interpolated by a cubic between two of them,
    is 0: within 0.1 % of that of a search over all logits. If the minimum is outside this range, the result is the
    nearest of these temperatures.

    Args:
        ignore_index: Mask value that is ignored.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    slope: Tensor
    """First derivative at each temperature."""
    curvature: Tensor
    """Second derivative at each temperature."""

    def __init__(self, ignore_index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignored = ignore_index
        for state in ("slope", "curvature"):
            sums = torch.zeros(len(INVERSE_TEMPERATURES), dtype=torch.float64)
            self.add_state(state, sums, dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch, at the cost of 15 softmaxes.

        Args:
            logits: (B, C, h, w), upsampled to the size of `target` in bands.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
        """
        for values, labels in labelled_bands(logits, target, self.ignored):
            values = values - values.gather(1, labels[:, None])  # relative to the logit of the true class
            for k, inverse in enumerate(INVERSE_TEMPERATURES):
                probability = (values * inverse).softmax(1)
                mean = (probability * values).sum(1)
                self.slope[k] += mean.sum(dtype=torch.float64)
                self.curvature[k] += ((probability * values.square()).sum(1) - mean.square()).sum(dtype=torch.float64)

    def compute(self) -> Tensor:
        """The temperature, a float64 scalar; NaN if nothing was counted."""
        slope, curvature = self.slope.tolist(), self.curvature.tolist()
        if not any(slope):
            return torch.tensor(math.nan, dtype=torch.float64)
        inverse = INVERSE_TEMPERATURES[0] if slope[0] >= 0 else INVERSE_TEMPERATURES[-1]
        for k, (low, high) in enumerate(pairwise(INVERSE_TEMPERATURES)):
            if slope[k] < 0 <= slope[k + 1]:
                inverse = _root((low, slope[k], curvature[k]), (high, slope[k + 1], curvature[k + 1]))
        return torch.tensor(1 / inverse, dtype=torch.float64)


def labelled_bands(logits: Tensor, target: Tensor, ignore_index: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Upsampled logits (n, C) and class index (n,) of the pixels that are not ignored, band by band."""
    check_logits(logits)
    check_shape(target, logits)
    check_labels(target, logits.shape[1], ignore_index, wait=True)  # the host waits for a GPU here anyway
    with torch.autocast(logits.device.type, enabled=False), full_precision():
        for band in bands(logits, (target.shape[-2], target.shape[-1])):
            labels = band.of(target)
            kept = labels != ignore_index
            yield band.values.transpose(1, 2)[kept], labels[kept].long()


def _root(left: tuple[float, float, float], right: tuple[float, float, float]) -> float:
    """Root of the cubic in log x through two points (x, value, derivative), by bisection."""
    (x0, y0, d0), (x1, y1, d1) = left, right
    span = math.log(x1 / x0)
    d0, d1 = d0 * x0 * span, d1 * x1 * span
    low, high = 0.0, 1.0
    for _ in range(60):
        t = (low + high) / 2
        value = (1 - t) ** 2 * ((1 + 2 * t) * y0 + t * d0) + t * t * ((3 - 2 * t) * y1 + (t - 1) * d1)
        low, high = (t, high) if value < 0 else (low, t)
    return x0 * math.exp(span * (low + high) / 2)
