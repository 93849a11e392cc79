"""Blending of the logits of overlapping windows, band by band, without full-resolution logits or maps of weights.

Interpolation is linear. A window's weight is the product of a weight of its row and one of its column, and so is the
sum of the weights of all windows. So the few source rows under a band are interpolated and added up along their
columns, and one matrix product, with both the weights and the interpolation of rows, gives the pixels of the band.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from seglight.ops.bands import SOURCE_ROWS, budget, full_precision, interpolation, widen
from seglight.ops.label_tensors import label_dtype


class Side(NamedTuple):
    """Windows along one side of an image.

    Attributes:
        length: Number of pixels of the side.
        window: Number of pixels of a window.
        starts: First pixel of each window.
        weights: (windows, window) float32, on the device of the logits; those of a pixel sum to 1 over the windows that
            cover it.
    """

    length: int
    window: int
    starts: tuple[int, ...]
    weights: Tensor

    @property
    def ends(self) -> tuple[int, ...]:
        """End of each window: the pixel after its last."""
        return tuple(start + self.window for start in self.starts)


def side(length: int, window: int, step: int, sigma: float | None) -> Side:
    """Place windows every `step` pixels, with the last one moved back to end with the side.

    Args:
        length: Number of pixels of the side, at least that of a window.
        window: Number of pixels of a window.
        step: Distance from one window to the next, in pixels.
        sigma: Standard deviation of a Gaussian weight around the centre of a window, as a share of the window; None for
            equal weights.
    """
    starts = tuple(min(start, length - window) for start in range(0, length - window + step, step))
    profile = torch.ones(window, dtype=torch.float64)
    if sigma is not None:
        position = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
        profile = torch.exp(-((position / (sigma * window)) ** 2) / 2)
        profile.clamp_(
            min=torch.finfo(torch.float64).tiny
        )  # the tails of a narrow one are 0, and would leave a mean over zeros
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + window] += profile
    weights = torch.stack([profile / total[start : start + window] for start in starts])
    return Side(length, window, starts, weights.float())


def band_rows(down: Side, source_height: int) -> int:
    """Number of rows of a band: few, because each is a sum over all source rows of the band."""
    return SOURCE_ROWS * -(-down.window // source_height)


def blended(
    logits: Mapping[int, Tensor], rows: tuple[int, int], down: Side, across: Side, reduce: Callable[[Tensor], Tensor]
) -> Tensor:
    """Apply a function to the blended, bilinearly upsampled logits of a band of rows.

    Args:
        logits: Logits (windows, C, h, w) float32 of each row of windows that overlaps the band, by its index in `down`.
        rows: First row of the band in the image, and the row after the last.
        down: Windows along the columns of the image.
        across: Windows along the rows of the image.
        reduce: Function of the logits (C, N) of N pixels, which it may overwrite, that returns (..., N).

    Returns:
        (..., rows, W).
    """
    reaching = {i: part for i, part in logits.items() if down.starts[i] < rows[1] and rows[0] < down.ends[i]}
    _, channels, _, source_width = next(iter(reaching.values())).shape
    phases = _phases(across, source_width)
    parts = [_under(rows, down, index, part) for index, part in reaching.items()]
    matrix = torch.cat([weight for _, weight in parts], 1)
    strip = matrix.new_zeros(channels, matrix.shape[1], phases, across.length // phases)
    sums = torch.split(strip, [weight.shape[1] for _, weight in parts], 1)
    for part, (sources, _), total in zip(reaching.values(), parts, sums, strict=True):
        _add_columns(total, part[:, :, sources], across)
    # half of the budget: larger blocks are returned to the system each time, and filled with zeros when allocated again
    columns = max(1, budget(strip.device) // (8 * channels * len(matrix)))
    reduced = []
    with full_precision():
        for tile in torch.split(strip.flatten(2), columns, 2):
            values = matrix @ tile
            part = reduce(values.flatten(1))
            reduced.append(part.view(*part.shape[:-1], *values.shape[1:]))
    whole = torch.cat(reduced, -1)
    # columns are ordered by their phase, as in `Band`
    return whole.view(*whole.shape[:-1], phases, -1).transpose(-1, -2).flatten(-2)


def first_largest(values: Tensor) -> Tensor:
    """Index of the largest value of each pixel, the first of them if several are equal.

    Faster than torch's argmax over a dimension that is not the last.

    Args:
        values: (C, N), overwritten.

    Returns:
        (N,) uint8, int32 for C > 255.
    """
    channels = len(values)
    hit = values.ge_(values.amax(0))
    countdown = torch.arange(channels, 0, -1, dtype=values.dtype, device=values.device).unsqueeze(1)
    # no class is the largest where one is NaN
    return (channels - hit.mul_(countdown).amax(0)).clamp_(max=channels - 1).to(label_dtype(channels))


def _phases(across: Side, source_width: int) -> int:
    """Factor by which the width grows, or 1 if that is not an integer, or windows begin between two source columns."""
    factor = across.window // source_width
    whole = factor * source_width == across.window
    return factor if whole and all(column % factor == 0 for column in (across.length, *across.starts)) else 1


def _under(rows: tuple[int, int], down: Side, index: int, logits: Tensor) -> tuple[slice, Tensor]:
    """Source rows of a row of windows under rows of the image, and their weights there: (rows, sources)."""
    top = down.starts[index]
    first, last = (min(max(row - top, 0), down.window) for row in rows)
    sources, weight = interpolation(first, last, logits.shape[2], down.window, logits.device)
    matrix = weight.new_zeros(rows[1] - rows[0], weight.shape[1])
    matrix[first + top - rows[0] : last + top - rows[0]] = weight * down.weights[index, first:last, None]
    return sources, matrix


def _add_columns(strip: Tensor, logits: Tensor, across: Side) -> None:
    """Add rows (windows, C, r, w) of all windows, interpolated along columns and weighted, to (C, r, s, W / s)."""
    phases = strip.shape[2]
    shape = (*strip.shape[:3], across.window // phases)
    for window, start, weight in zip(logits, across.starts, across.weights, strict=True):
        wide = widen(window.unsqueeze(0), across.window, phases).view(shape)
        by_phase = weight.view(-1, phases).t().contiguous()
        strip[..., start // phases : start // phases + shape[-1]].addcmul_(wide, by_phase)
