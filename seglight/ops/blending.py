"""Blend the logits of overlapping windows, band by band: no full-resolution logits, no map of weights.

Interpolation is linear, and a window's weight is a product of one by its rows and one by its columns, as is the sum of
the weights of all windows. So the few source rows under a band are interpolated and added up along their columns, and
one matrix product, of both the weights and the interpolation of rows, gives the pixels of the band.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from seglight.ops.bands import SOURCE_ROWS, budget, full_precision, interpolation, widen


class Side(NamedTuple):
    """Windows along one side of an image.

    Attributes:
        length: Pixels of the side.
        window: Pixels of a window.
        starts: Where the windows begin.
        weights: (windows, window) float32, on the device of the logits; those of a pixel sum to 1 over the windows that
            cover it.
    """

    length: int
    window: int
    starts: tuple[int, ...]
    weights: Tensor

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the windows end."""
        return tuple(start + self.window for start in self.starts)


def side(length: int, window: int, step: int, sigma: float | None) -> Side:
    """Windows at every `step` pixels, the last one moved back to end with the side.

    Args:
        length: Pixels of the side, at least those of a window.
        window: Pixels of a window.
        step: From one window to the next.
        sigma: Of a Gaussian around a window's middle, as a share of the window; None: all its pixels weigh alike.
    """
    starts = tuple(min(start, length - window) for start in range(0, length - window + step, step))
    profile = torch.ones(window, dtype=torch.float64)
    if sigma is not None:
        place = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
        profile = torch.exp(-((place / (sigma * window)) ** 2) / 2)
        profile.clamp_(min=torch.finfo(torch.float64).tiny)  # a narrow one is 0 far off, and no mean is taken of zeros
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + window] += profile
    weights = torch.stack([profile / total[start : start + window] for start in starts])
    return Side(length, window, starts, weights.float())


def band_rows(down: Side, source_height: int) -> int:
    """Rows of a band: few, since each is a sum over all source rows of the band."""
    return SOURCE_ROWS * -(-down.window // source_height)


def blended(
    logits: Mapping[int, Tensor], rows: tuple[int, int], down: Side, across: Side, reduce: Callable[[Tensor], Tensor]
) -> Tensor:
    """What `reduce` makes of the blended, bilinearly upsampled logits of a band of rows.

    Args:
        logits: Of rows of windows, by their place in `down`, all that reach into the band: (windows, C, h, w) float32.
        rows: The first row of the image and the one after the last.
        down: Windows along the columns of the image.
        across: Windows along its rows.
        reduce: Takes (C, N) of N pixels, which it may write over, to (..., N).

    Returns:
        (..., rows, W).
    """
    reaching = {i: part for i, part in logits.items() if down.starts[i] < rows[1] and rows[0] < down.ends[i]}
    _, channels, _, source_width = next(iter(reaching.values())).shape
    phases = _phases(across, source_width)
    parts = [_under(rows, down, place, part) for place, part in reaching.items()]
    matrix = torch.cat([weight for _, weight in parts], 1)
    strip = matrix.new_zeros(channels, matrix.shape[1], phases, across.length // phases)
    sums = torch.split(strip, [weight.shape[1] for _, weight in parts], 1)
    for part, (sources, _), total in zip(reaching.values(), parts, sums, strict=True):
        _add_columns(total, part[:, :, sources], across)
    # half of it: larger pieces of memory are given back to the system each time, and filled with zeros when taken anew
    columns = max(1, budget(strip.device) // (8 * channels * len(matrix)))
    reduced = []
    with full_precision():
        for tile in torch.split(strip.flatten(2), columns, 2):
            values = matrix @ tile
            part = reduce(values.flatten(1))
            reduced.append(part.view(*part.shape[:-1], *values.shape[1:]))
    whole = torch.cat(reduced, -1)
    # columns stand by their phase, as in `Band`
    return whole.view(*whole.shape[:-1], phases, -1).transpose(-1, -2).flatten(-2)


def first_largest(values: Tensor) -> Tensor:
    """Index of the largest of (C, N), the first of them where several are: (N,) uint8, int16 for C > 256.

    The values are written over; twice as fast as torch's argmax over a dimension that is not the last.
    """
    channels = len(values)
    dtype = torch.uint8 if channels <= 256 else torch.int16
    hit = values.ge_(values.amax(0))
    countdown = torch.arange(channels, 0, -1, dtype=values.dtype, device=values.device).unsqueeze(1)
    # no class is the largest where one is not a number
    return (channels - hit.mul_(countdown).amax(0)).clamp_(max=channels - 1).to(dtype)


def _phases(across: Side, source_width: int) -> int:
    """Factor by which the width grows, or 1 where that is no integer, or windows begin between two source columns."""
    factor = across.window // source_width
    whole = factor * source_width == across.window
    return factor if whole and all(place % factor == 0 for place in (across.length, *across.starts)) else 1


def _under(rows: tuple[int, int], down: Side, place: int, logits: Tensor) -> tuple[slice, Tensor]:
    """Source rows of a row of windows under rows of the image, and what each adds to these: (rows, sources)."""
    top = down.starts[place]
    first, last = (min(max(row - top, 0), down.window) for row in rows)
    sources, weight = interpolation(first, last, logits.shape[2], down.window, logits.device)
    matrix = weight.new_zeros(rows[1] - rows[0], weight.shape[1])
    matrix[first + top - rows[0] : last + top - rows[0]] = weight * down.weights[place, first:last, None]
    return sources, matrix


def _add_columns(strip: Tensor, logits: Tensor, across: Side) -> None:
    """Add rows (windows, C, r, w) of all windows, interpolated along their columns, by weight to (C, r, s, W / s)."""
    phases = strip.shape[2]
    shape = (*strip.shape[:3], across.window // phases)
    for window, start, weight in zip(logits, across.starts, across.weights, strict=True):
        wide = widen(window.unsqueeze(0), across.window, phases).view(shape)
        by_phase = weight.view(-1, phases).t().contiguous()
        strip[..., start // phases : start // phases + shape[-1]].addcmul_(wide, by_phase)
