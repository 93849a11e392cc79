"""Walk the bilinear upsampling of logits in bands of rows, so that no full-resolution copy is ever held."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BAND_ROWS = 16
"""Rows of a band: small enough for its working set to stay in a processor's cache."""


class Band(NamedTuple):
    """Rows `start:stop` of the upsampled map.

    `values` is (B, C, stop - start, W), or None where only the geometry is asked for. `first:last` are the source rows
    that it was made from, and `weight` (stop - start, last - first) is the vertical interpolation between the two.
    """

    start: int
    stop: int
    first: int
    last: int
    weight: Tensor
    values: Tensor


def bands(logits: Tensor, size: tuple[int, int], rows: int = BAND_ROWS) -> Iterator[Band]:
    """Give `F.interpolate(logits, size, mode="bilinear", align_corners=False)` in float32, `rows` rows at a time.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the upsampled map.
        rows: Rows of a band.
    """
    height, width = size
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first, last, weight = _vertical(start, stop, logits.shape[-2], height, logits.device)
        slab = logits[:, :, first:last].float()
        lerped = torch.einsum("yr,bcrw->bcyw", weight, slab).contiguous()
        if width != logits.shape[-1]:
            lerped = F.interpolate(lerped, (stop - start, width), mode="bilinear", align_corners=False)
        yield Band(start, stop, first, last, weight, lerped)


def add_band_gradient(grad_logits: Tensor, band: Band, grad_values: Tensor) -> None:
    """Add the gradient of a band's values (B, C, stop - start, W) to that of the logits (B, C, h, w), in place."""
    batch, channels, rows, width = grad_values.shape
    source_width = grad_logits.shape[-1]
    if width != source_width:
        grad_values = torch.ops.aten.upsample_bilinear2d_backward(
            grad_values, [rows, width], [batch, channels, rows, source_width], False
        )
    grad_logits[:, :, band.first : band.last] += torch.einsum("yr,bcyw->bcrw", band.weight, grad_values)


def _vertical(start: int, stop: int, source: int, target: int, device: torch.device) -> tuple[int, int, Tensor]:
    """Source rows `first:last` under rows `start:stop` of the target, and the (rows, last - first) weights."""
    position = ((torch.arange(start, stop, dtype=torch.float32) + 0.5) * (source / target) - 0.5).clamp_(min=0)
    lower = position.long().clamp_(max=source - 1)
    upper = (lower + 1).clamp_(max=source - 1)
    fraction = position - lower
    first, last = int(lower[0]), int(upper[-1]) + 1
    weight = torch.zeros(stop - start, last - first)
    row = torch.arange(stop - start)
    weight[row, lower - first] += 1 - fraction
    weight[row, upper - first] += fraction
    return first, last, weight.to(device)
