"""Losses that need one class's probabilities at all pixels at once, one class after the other."""

from collections.abc import Callable

import torch
from torch import Tensor

from seglight.ops.bands import add_band_gradient, bands

Visit = Callable[[int, Tensor], Tensor | None]
"""Called with a class and its probabilities (B, H, W), its to write to; gives the slope by them, or None for 0."""


def by_class(logits: Tensor, size: tuple[int, int], visit: Visit) -> Tensor:
    """Visit each class's upsampled softmax, and carry the slopes back to the logits.

    With slope g by p, that by the upsampled logit of a class is p g - p s, where s is the sum of p g over all classes:
    known once all have been visited, so that a second round takes it off. A handful of maps (B, H, W) is all that is
    held; each channel is upsampled three times.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the upsampled map.
        visit: Called once a class.

    Returns:
        (B, C, h, w), the slope by the logits.
    """
    log_sum = torch.empty((len(logits), *size), device=logits.device)
    for band in bands(logits, size):
        band.put(log_sum, band.values.logsumexp(1))
    total, gradient = torch.zeros_like(log_sum), torch.zeros(logits.shape, device=logits.device)
    for label in range(logits.shape[1]):
        p = _probabilities(logits, label, log_sum)
        slope = visit(label, p.clone())
        if slope is not None:
            part = slope.mul_(p)
            total += part
            _add_gradient(gradient, label, part)
    for label in range(logits.shape[1]):
        _add_gradient(gradient, label, _probabilities(logits, label, log_sum).mul_(total).neg_())
    return gradient


def _probabilities(logits: Tensor, label: int, log_sum: Tensor) -> Tensor:
    p = torch.empty_like(log_sum)
    for band in bands(logits[:, label : label + 1], (p.shape[-2], p.shape[-1])):
        band.put(p, (band.values[:, 0] - band.of(log_sum)).exp_())
    return p


def _add_gradient(gradient: Tensor, label: int, slope: Tensor) -> None:
    """Add the transposed upsampling of a slope (B, H, W) to a channel of the gradient (B, C, h, w)."""
    channel = gradient[:, label : label + 1]
    for band in bands(channel, (slope.shape[-2], slope.shape[-1])):
        add_band_gradient(channel, band, band.of(slope).unsqueeze(1))
