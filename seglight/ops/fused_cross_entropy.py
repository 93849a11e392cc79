"""Cross-entropy of upsampled logits on a GPU in two kernels: nothing of full resolution but one number a pixel.

The first kernel makes each pixel's log of the sum of exponentials and its loss. In the second a thread block owns some
source pixels and visits every pixel that is interpolated from them, so that gradients are summed in a fixed order.
Imported only where Triton is, and for tensors on a GPU; `seglight.ops.bands` says the same in plain torch.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def"
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048
"""Numbers of a thread block's tile: channels, rounded up to a power of two, times pixels."""


class Weights(NamedTuple):
    """What a pixel that is not ignored counts: `target[label]` by -log p of its label, `every[c]` by that of class c.

    Attributes:
        target: (C,) float32.
        every: (C,) float32.
    """

    target: Tensor
    every: Tensor


def fused_cross_entropy(
    logits: Tensor, mask: Tensor, ignore_index: int, weights: Weights, scale: Tensor, needs_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """Weighted sum of the cross-entropies of all pixels times `scale`, and its slope.

    Args:
        logits: (B, C, h, w), any float.
        mask: (B, H, W), any integer.
        ignore_index: Mask value that counts for nothing.
        weights: What a pixel counts.
        scale: Scalar float32.
        needs_gradient: Make the slope too.

    Returns:
        Scalar float32, and (B, C, h, w) float32 in the layout of the logits, or None.
    """
    batch, channels, source_height, source_width = logits.shape
    height, width = mask.shape[-2:]
    padded = triton.next_power_of_2(channels)
    block = max(4, TILE // padded)
    sizes = (channels, source_height, source_width, height, width)
    steps = (source_height / height, source_width / width)
    log_sum = torch.empty(mask.shape, device=logits.device)
    columns = triton.cdiv(width, block)
    parts = torch.empty((batch, height, columns), device=logits.device)
    mask = mask.contiguous()
    _losses[(columns, height, batch)](
        logits, mask, log_sum, parts, *weights, weights.every.sum(), *sizes, *steps, *logits.stride(), ignore_index,
        CHANNELS=padded, BLOCK=block,
    )  # fmt: skip
    value = parts.sum() * scale
    if not needs_gradient:
        return value, None
    gradient = torch.empty_like(logits, dtype=torch.float32)
    block = max(4, TILE // 2 // padded)
    reach = [
        1 if large == small else 2 * large // small + 2 for small, large in zip(sizes[1:3], sizes[3:], strict=True)
    ]
    _slopes[(triton.cdiv(source_width, block), source_height, batch)](
        logits, mask, log_sum, gradient, *weights, weights.every.sum(), scale, *sizes, *steps, *logits.stride(),
        *gradient.stride(), ignore_index, CHANNELS=padded, BLOCK=block, REACH_Y=reach[0], REACH_X=reach[1],
    )  # fmt: skip
    return value, gradient


@triton.jit
def _position(index, step, size):
    """Where an entry of the large side lies in the small one, as in torch's bilinear with align_corners=False."""
    return tl.minimum(tl.maximum((index + 0.5) * step - 0.5, 0.0), size - 1.0)


@triton.jit
def _first(source, step, REACH: tl.constexpr):  # noqa: N803
    """The first entry of the large side that may be interpolated from an entry of the small one."""
    if REACH == 1:
        return source
    return tl.ceil((source - 0.5) / step - 0.5).to(tl.int32)


@triton.jit
def _column(logits, x, channel, inside, top, bottom, down, channels_stride, columns_stride):
    """Logits (CHANNELS, BLOCK) of source columns `x`, between two source rows; -inf beyond the channels."""
    at = channel[:, None] * channels_stride + x[None, :] * columns_stride
    upper = tl.load(logits + top + at, mask=inside, other=0.0).to(tl.float32)
    lower = tl.load(logits + bottom + at, mask=inside, other=0.0).to(tl.float32)
    return tl.where(inside, upper + down * (lower - upper), float("-inf"))


@triton.jit
def _losses(
    logits, mask, log_sum, parts, target_weight, every_weight, every_sum,
    channels, source_height, source_width, height, width, step_y, step_x,
    batch_stride, channel_stride, row_stride, column_stride, ignore_index,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Log of the sum of exponentials of BLOCK pixels of a row, and the sum of their losses."""
    y, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    x = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, CHANNELS)
    here = x < width
    inside = (channel < channels)[:, None] & here[None, :]
    row = _position(y.to(tl.float32), step_y, source_height)
    top = row.to(tl.int32)
    down = row - top
    bottom = tl.minimum(top + 1, source_height - 1)
    column = _position(x.to(tl.float32), step_x, source_width)
    left = column.to(tl.int32)
    right = tl.minimum(left + 1, source_width - 1)
    logits += image * batch_stride
    a = _column(
        logits, left, channel, inside, top * row_stride, bottom * row_stride, down, channel_stride, column_stride
    )
    b = _column(
        logits, right, channel, inside, top * row_stride, bottom * row_stride, down, channel_stride, column_stride
    )
    values = tl.where(inside, a + (column - left)[None, :] * (b - a), float("-inf"))
    largest = tl.max(values, 0)
    # a column beyond the width holds nothing but -inf
    largest = tl.where(here, largest, 0.0)
    total = largest + tl.log(tl.sum(tl.exp(values - largest[None, :]), 0))
    pixel = (image * height + y) * width + x
    label = tl.load(mask + pixel, mask=here, other=ignore_index).to(tl.int32)
    counts = here & (label != ignore_index) & (label < channels)
    label = tl.where(counts, label, 0)
    at_label = tl.sum(tl.where(channel[:, None] == label[None, :], values, 0.0), 0)
    weight = tl.load(target_weight + label)
    every = tl.load(every_weight + channel, mask=channel < channels, other=0.0)
    at_every = tl.sum(tl.where(inside, every[:, None] * values, 0.0), 0)
    loss = weight * (total - at_label) + tl.load(every_sum) * total - at_every
    tl.store(log_sum + pixel, total, mask=here)
    block = (image * height + y) * tl.num_programs(0) + tl.program_id(0)
    tl.store(parts + block, tl.sum(tl.where(counts, loss, 0.0), 0))


@triton.jit
def _slopes(
    logits, mask, log_sum, gradient, target_weight, every_weight, every_sum, scale,
    channels, source_height, source_width, height, width, step_y, step_x,
    batch_stride, channel_stride, row_stride, column_stride,
    to_batch, to_channel, to_row, to_column, ignore_index,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr, REACH_Y: tl.constexpr, REACH_X: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Slope by BLOCK source pixels of a row: the sum over all pixels that are interpolated from them."""
    source_y, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    source_x = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, CHANNELS)
    mine = source_x < source_width
    inside = (channel < channels)[:, None] & mine[None, :]
    every = tl.load(every_weight + channel, mask=channel < channels, other=0.0)
    every_total = tl.load(every_sum)
    logits += image * batch_stride
    before, after = tl.maximum(source_x - 1, 0), tl.minimum(source_x + 1, source_width - 1)
    first_y, first_x = _first(source_y, step_y, REACH_Y), _first(source_x, step_x, REACH_X)
    slope = tl.zeros((CHANNELS, BLOCK), tl.float32)
    for offset_y in range(REACH_Y):
        y = first_y + offset_y
        row = _position(y.to(tl.float32), step_y, source_height)
        share_y = tl.maximum(1 - tl.abs(row - source_y), 0.0)
        if (y >= 0) & (y < height) & (share_y > 0):
            top = row.to(tl.int32)
            down = row - top
            bottom = tl.minimum(top + 1, source_height - 1) * row_stride
            top *= row_stride
            at = _column(logits, source_x, channel, inside, top, bottom, down, channel_stride, column_stride)
            left = _column(logits, before, channel, inside, top, bottom, down, channel_stride, column_stride) - at
            right = _column(logits, after, channel, inside, top, bottom, down, channel_stride, column_stride) - at
            for offset_x in range(REACH_X):
                x = first_x + offset_x
                away = _position(x.to(tl.float32), step_x, source_width) - source_x
                share = tl.maximum(1 - tl.abs(away), 0.0) * share_y
                here = mine & (x >= 0) & (x < width) & (share > 0)
                pixel = (image * height + y) * width + x
                label = tl.load(mask + pixel, mask=here, other=ignore_index).to(tl.int32)
                total = tl.load(log_sum + pixel, mask=here, other=0.0)
                share = tl.where(here & (label != ignore_index) & (label < channels), share, 0.0)
                label = tl.where(share > 0, label, 0)
                weight = tl.load(target_weight + label)
                values = (
                    at + tl.where(away < 0, -away, 0.0)[None, :] * left + tl.where(away > 0, away, 0.0)[None, :] * right
                )
                p = tl.where(inside, tl.exp(values - total[None, :]), 0.0)
                by_value = p * (weight + every_total)[None, :] - every[:, None]
                by_value -= tl.where(channel[:, None] == label[None, :], weight[None, :], 0.0)
                slope += tl.where(share[None, :] > 0, by_value * share[None, :], 0.0)
    to = image * to_batch + channel[:, None] * to_channel + source_y * to_row + source_x[None, :] * to_column
    tl.store(gradient + to, slope * tl.load(scale), mask=inside)
