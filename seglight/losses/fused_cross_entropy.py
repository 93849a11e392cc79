"""Cross-entropy of upsampled logits on a GPU in two kernels, with only one full-resolution number a pixel.

The first kernel computes each pixel's log of the sum of exponentials and its loss. In the second a thread block owns
some source pixels and visits every pixel that is interpolated from them, so that gradients are summed in a fixed order.
Imported only if Triton is installed and tensors are on a GPU; `seglight.ops.bands` is the same in plain torch.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def"
from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048
"""Numbers in a thread block's tile: channels, rounded up to a power of two, times pixels. Compare others on a GPU by
`python -m benchmarks loss`."""


def fused_cross_entropy(
    logits: Tensor, mask: Tensor, ignore_index: int, weight: Tensor | None, label_smoothing: float
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Compute the sum of the cross-entropies of all pixels, the sum of their weights, and a function for the gradient.

    Args:
        logits: (B, C, h, w), any floating point type.
        mask: (B, H, W), any integer type.
        ignore_index: Mask value that is ignored.
        weight: (C,) float32 weight of each class, or None.
        label_smoothing: Share of the target that is spread over all classes.

    Returns:
        Two scalars, float32, the first of them NaN if a label is neither a class nor ignore_index; and a function of a
        scale, scalar float32, which returns the gradient of the first multiplied by the scale, (B, C, h, w) float32 in
        the layout of the logits.
    """
    batch, channels, source_height, source_width = logits.shape
    height, width = mask.shape[-2:]
    padded = triton.next_power_of_2(channels)
    block = max(4, TILE // padded)
    sizes = (channels, source_height, source_width, height, width)
    steps = (source_height / height, source_width / width)
    log_sum = torch.empty(mask.shape, device=logits.device)
    columns = triton.cdiv(width, block)
    parts = torch.empty((2, batch * height * columns), device=logits.device)
    mask = mask.contiguous()
    spread = label_smoothing / channels
    target = (ignore_index, log_sum if weight is None else weight, 1 - label_smoothing, spread)
    options = {"CHANNELS": padded, "WEIGHTED": weight is not None}
    _losses[(columns, height, batch)](
        logits, mask, log_sum, parts, *target, *sizes, *steps, *logits.stride(), **options, BLOCK=block
    )
    loss, denominator = parts.sum(1).unbind()

    def backward(scale: Tensor) -> Tensor:
        gradient = torch.empty_like(logits, dtype=torch.float32)
        block = max(4, TILE // 2 // padded)
        reach = [
            1 if large == small else 2 * large // small + 2
            for small, large in ((source_height, height), (source_width, width))
        ]
        _gradients[(triton.cdiv(source_width, block), source_height, batch)](
            logits, mask, log_sum, gradient, *target, scale, *sizes, *steps, *logits.stride(), *gradient.stride(),
            **options, BLOCK=block, REACH_Y=reach[0], REACH_X=reach[1],
        )  # fmt: skip
        return gradient

    return loss, denominator, backward


@triton.jit
def _position(index, step, size):
    """Position of an entry of the large side in the small one, as in torch's bilinear with align_corners=False."""
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
def _by_label(class_weight, label, WEIGHTED: tl.constexpr):  # noqa: N803
    """Weights of the labels (BLOCK,)."""
    if WEIGHTED:
        return tl.load(class_weight + label)
    return tl.full(label.shape, 1.0, tl.float32)


@triton.jit
def _by_class(class_weight, channel, channels, spread, WEIGHTED: tl.constexpr):  # noqa: N803
    """Factor of -log p of each class at every pixel (CHANNELS,)."""
    every = tl.where(channel < channels, spread, 0.0)
    if WEIGHTED:
        every *= tl.load(class_weight + channel, mask=channel < channels, other=0.0)
    return every


@triton.jit
def _losses(
    logits, mask, log_sum, parts, ignore_index, class_weight, share, spread,
    channels, source_height, source_width, height, width, step_y, step_x,
    batch_stride, channel_stride, row_stride, column_stride,
    CHANNELS: tl.constexpr, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Log of the sum of exponentials of BLOCK pixels of a row, and the sums of their losses and of their weights."""
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
    # a column beyond the width holds only -inf
    largest = tl.where(here, largest, 0.0)
    total = largest + tl.log(tl.sum(tl.exp(values - largest[None, :]), 0))
    pixel = (image * height + y) * width + x
    label = tl.load(mask + pixel, mask=here, other=ignore_index).to(tl.int32)
    labelled = here & (label != ignore_index)
    counts = labelled & (label >= 0) & (label < channels)
    outside = labelled & ((label < 0) | (label >= channels))
    label = tl.where(counts, label, 0)
    at_label = tl.sum(tl.where(channel[:, None] == label[None, :], values, 0.0), 0)
    weight = _by_label(class_weight, label, WEIGHTED)
    every = _by_class(class_weight, channel, channels, spread, WEIGHTED)
    at_every = tl.sum(tl.where(inside, every[:, None] * values, 0.0), 0)
    loss = weight * share * (total - at_label) + tl.sum(every) * total - at_every
    tl.store(log_sum + pixel, total, mask=here)
    blocks = tl.num_programs(0) * tl.num_programs(1)
    parts += image * blocks + y * tl.num_programs(0) + tl.program_id(0)
    tl.store(parts, tl.sum(tl.where(outside, float("nan"), tl.where(counts, loss, 0.0))))
    tl.store(parts + blocks * tl.num_programs(2), tl.sum(tl.where(counts, weight, 0.0)))


@triton.jit
def _gradients(
    logits, mask, log_sum, gradient, ignore_index, class_weight, share, spread, scale,
    channels, source_height, source_width, height, width, step_y, step_x,
    batch_stride, channel_stride, row_stride, column_stride,
    to_batch, to_channel, to_row, to_column,
    CHANNELS: tl.constexpr, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
    REACH_Y: tl.constexpr, REACH_X: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Gradient by BLOCK source pixels of a row: the sum over all pixels that are interpolated from them."""
    source_y, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    source_x = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, CHANNELS)
    mine = source_x < source_width
    inside = (channel < channels)[:, None] & mine[None, :]
    logits += image * batch_stride
    before, after = tl.maximum(source_x - 1, 0), tl.minimum(source_x + 1, source_width - 1)
    first_y, first_x = _first(source_y, step_y, REACH_Y), _first(source_x, step_x, REACH_X)
    every = _by_class(class_weight, channel, channels, spread, WEIGHTED)
    every_sum = tl.sum(every)
    by_source = tl.zeros((CHANNELS, BLOCK), tl.float32)
    for offset_y in range(REACH_Y):
        y = first_y + offset_y
        row = _position(y.to(tl.float32), step_y, source_height)
        tent_y = tl.maximum(1 - tl.abs(row - source_y), 0.0)
        if (y >= 0) & (y < height) & (tent_y > 0):
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
                tent = tl.maximum(1 - tl.abs(away), 0.0) * tent_y
                here = mine & (x >= 0) & (x < width) & (tent > 0)
                pixel = (image * height + y) * width + x
                label = tl.load(mask + pixel, mask=here, other=ignore_index).to(tl.int32)
                total = tl.load(log_sum + pixel, mask=here, other=0.0)
                tent = tl.where(here & (label != ignore_index) & (label >= 0) & (label < channels), tent, 0.0)
                label = tl.where(tent > 0, label, 0)
                weight = share * _by_label(class_weight, label, WEIGHTED)
                values = (
                    at + tl.where(away < 0, -away, 0.0)[None, :] * left + tl.where(away > 0, away, 0.0)[None, :] * right
                )
                p = tl.where(inside, tl.exp(values - total[None, :]), 0.0)
                by_value = p * (weight + every_sum)[None, :] - every[:, None]
                by_value -= tl.where(channel[:, None] == label[None, :], weight[None, :], 0.0)
                by_source += tl.where(tent[None, :] > 0, by_value * tent[None, :], 0.0)
    to = image * to_batch + channel[:, None] * to_channel + source_y * to_row + source_x[None, :] * to_column
    tl.store(gradient + to, by_source * tl.load(scale), mask=inside)
