"""Losses that need one class's probabilities at all pixels at once, computed class by class."""

from collections.abc import Callable

import torch
from torch import Tensor

from seglight.ops.bands import add_band_gradient, bands

Visit = Callable[[int, Tensor], Tensor | None]
"""Called with a class and its probabilities (B, H, W), which it may overwrite; returns the gradient with respect to
them, or None for 0."""


def by_class(logits: Tensor, size: tuple[int, int], visit: Visit) -> Tensor:
    """Call a function with each class's upsampled softmax, and carry its gradients back to the logits.

    With gradient g by p, that by the upsampled logit of a class is p g - p s, where s is the sum of p g over all
    classes. It is known after all classes have been visited, and is subtracted in a second round. Only a handful of
    maps (B, H, W) is in memory; each channel is upsampled three times.

    Args:
        logits: (B, C, h, w).
        size: Height and width (H, W) of the upsampled map.
        visit: Function that is called once for each class.

    Returns:
        (B, C, h, w), the gradient with respect to the logits.
    """
    log_sum = torch.empty((len(logits), *size), device=logits.device)
    for band in bands(logits, size):
        band.put(log_sum, band.values.logsumexp(1))
    total, gradient = torch.zeros_like(log_sum), torch.zeros(logits.shape, device=logits.device)
    for label in range(logits.shape[1]):
        p = _probabilities(logits, label, log_sum)
        by_p = visit(label, p.clone())
        if by_p is not None:
            part = by_p.mul_(p)
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


def _add_gradient(gradient: Tensor, label: int, by_upsampled: Tensor) -> None:
    """Add the transposed upsampling of a gradient (B, H, W) to a channel of that of the logits (B, C, h, w)."""
    channel = gradient[:, label : label + 1]
    for band in bands(channel, (by_upsampled.shape[-2], by_upsampled.shape[-1])):
        add_band_gradient(channel, band, band.of(by_upsampled).unsqueeze(1))
