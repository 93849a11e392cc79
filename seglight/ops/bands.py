"""Bilinear upsampling of logits in bands of pixels, so that no full-resolution copy is ever in memory.

Rows of a band are a matrix product of the few source rows under them. If the width grows by an integer factor, columns
are grouped by their phase (column modulo factor): a lerp of two shifted rows for each, forward and backward, without
the strided writes that would put them side by side. A loss does not depend on the order of its pixels; `Band.of` brings
labels into the same order.

The matrix products are those of torch: call everything here within `full_precision`, once around a whole computation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SOURCE_ROWS = 8
"""Largest number of source rows under a band on a CPU. Compare others by `python -m benchmarks loss`."""

GPU_BYTES = 2**24
"""Bytes of a band's values on a GPU: about a thousandth of its memory, and enough work for a kernel to hide its launch.
Compare others on a GPU by `python -m benchmarks loss`."""


class Band(NamedTuple):
    """Some rows of the upsampled map of some images.

    Attributes:
        images: Range of the images.
        rows: Range of the rows.
        values: (b, C, P) float32, the upsampled logits of its P pixels in an order of its own. May be overwritten.
        sources: Range of the rows of the logits that it is interpolated from.
        weight: (rows, sources) weights of the vertical interpolation; None if the height stays the same.
        phases: Factor by which the width grows, or 1 if that is not an integer: then pixels are in order of (row,
            column).
    """

    images: slice
    rows: slice
    values: Tensor
    sources: slice
    weight: Tensor | None
    phases: int

    def of(self, full: Tensor) -> Tensor:
        """Return the band's part (b, ..., P) of a map (B, ..., H, W), in its order of pixels."""
        part = full[self.images, ..., self.rows, :]
        columns = part.shape[-1] // self.phases
        return part.reshape(*part.shape[:-1], columns, self.phases).transpose(-1, -2).flatten(-3)

    def put(self, full: Tensor, part: Tensor) -> None:
        """Write the band's part (b, ..., P) into a map (B, ..., H, W): the inverse of `of`."""
        columns = full.shape[-1] // self.phases
        rows = part.reshape(*part.shape[:-1], -1, self.phases, columns).transpose(-1, -2).flatten(-2)
        full[self.images, ..., self.rows, :] = rows


def bands(logits: Tensor, size: tuple[int, int]) -> Iterator[Band]:
    """Yield `F.interpolate(logits, size, mode="bilinear", align_corners=False)` in float32, band by band.

    Consume it within `full_precision`.

    Args:
        logits: (B, C, h, w).
        size: Height and width (H, W) of the upsampled map.
    """
    batch, _, source_height, source_width = logits.shape
    height, width = size
    phases = width // source_width if width % source_width == 0 else 1
    images, rows = _extent(logits, size)
    for start in range(0, height, rows):
        target = slice(start, min(start + rows, height))
        sources, weight = target, None
        if height != source_height:
            sources, weight = interpolation(start, target.stop, source_height, height, logits.device)
        for first in range(0, batch, images):
            some = slice(first, min(first + images, batch))
            values = widen(logits[some, :, sources].float().contiguous(), width, phases)
            values = values.clone() if weight is None else weight @ values
            band = Band(some, target, values.flatten(2), sources, weight, phases)
            del values  # otherwise two bands are in memory at a time
            yield band
            del band


def add_band_gradient(gradient: Tensor, band: Band, by_values: Tensor) -> None:
    """Add the gradient with respect to a band's values to that of the logits, in place.

    Args:
        gradient: (B, C, h, w) gradient with respect to the logits.
        band: Band that the values belong to.
        by_values: (b, C, P) gradient with respect to the values.
    """
    by_rows = by_values.view(*by_values.shape[:2], band.rows.stop - band.rows.start, -1)
    if band.weight is not None:
        by_rows = band.weight.t() @ by_rows
    gradient[band.images, :, band.sources] += _narrow(by_rows, gradient.shape[-1], band.phases)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 matrix products in float32, whatever `torch.set_float32_matmul_precision` allows for the net."""
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined] # set at import
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _extent(logits: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Images and rows of a band: few rows, because each is a sum over all source rows of the band, of many images."""
    channels, source_height = logits.shape[1:3]
    height, width = size
    factor = -(-height // source_height)
    fit = max(factor, budget(logits.device) // (4 * channels * width))
    most = height if factor == 1 or logits.is_cuda else SOURCE_ROWS * factor
    rows = min(fit // factor * factor, most)
    return max(1, fit // rows), rows


@cache
def budget(device: torch.device) -> int:
    """Bytes of a band's values: on a CPU a seventh of the last cache, so that they stay there between two steps.

    Compare other shares by `python -m benchmarks loss`.
    """
    if device.type == "cuda":
        return GPU_BYTES
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    last = max((int(path.read_text(encoding="utf-8").strip().removesuffix("K")) << 10 for path in sizes), default=2**25)
    return min(max(last // 7, 2**20), 2**23)


@lru_cache(maxsize=1024)  # the steps of a training use the same ones
def interpolation(start: int, stop: int, source: int, length: int, device: torch.device) -> tuple[slice, Tensor]:
    """Weights of the linear interpolation along one side, as torch's with align_corners=False.

    Args:
        start: First entry of the large side.
        stop: End of the entries of the large side.
        source: Number of entries of the small side.
        length: Number of entries of the large side.
        device: Device of the weights.

    Returns:
        The range of entries of the small side under `start:stop`, and weights (entries, sources).
    """
    entries = torch.arange(start, stop, dtype=torch.float64)
    position = ((entries + 0.5) * (source / length) - 0.5).clamp_(min=0)
    lower = position.long().clamp_(max=source - 1)
    upper = (lower + 1).clamp_(max=source - 1)
    fraction = (position - lower).float()
    sources = slice(int(lower[0]), int(upper[-1]) + 1)
    weight = torch.zeros(len(entries), sources.stop - sources.start)
    row = torch.arange(len(entries))
    weight[row, lower - sources.start] += 1 - fraction
    weight[row, upper - sources.start] += fraction
    return sources, weight.to(device)


def _offsets(phases: int) -> list[float]:
    """Distance of each phase's pixel from the centre of its source pixel, in source pixels."""
    return [(phase + 0.5) / phases - 0.5 for phase in range(phases)]


def widen(rows: Tensor, width: int, phases: int) -> Tensor:
    """Interpolate (b, C, r, w) along its rows to (b, C, r, W), in order of the phases if there is more than one."""
    source_width = rows.shape[-1]
    if width == source_width:
        return rows
    if phases == 1:
        return F.interpolate(rows, (rows.shape[2], width), mode="bilinear", align_corners=False)
    padded = torch.cat([rows[..., :1], rows, rows[..., -1:]], -1)
    before, at, after = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    widened = rows.new_empty((*rows.shape[:-1], phases, source_width))
    for phase, offset in enumerate(_offsets(phases)):
        pair = (before, at, 1 + offset) if offset < 0 else (at, after, offset)
        torch.lerp(*pair, out=widened[..., phase, :])
    return widened.flatten(-2)


def _narrow(by_wide: Tensor, source_width: int, phases: int) -> Tensor:
    """The transpose of `widen`: (b, C, r, W) to (b, C, r, w)."""
    *lead, rows, width = by_wide.shape
    if width == source_width:
        return by_wide
    if phases > 1:
        return _fold(by_wide.view(*by_wide.shape[:-1], phases, source_width))
    if by_wide.is_cuda:  # torch's own backward pass adds in no fixed order there
        return by_wide @ interpolation(0, width, source_width, width, by_wide.device)[1]
    source = [*lead, rows, source_width]
    narrowed: Tensor = torch.ops.aten.upsample_bilinear2d_backward(by_wide, [rows, width], source, False)
    return narrowed


def _fold(by_phase: Tensor) -> Tensor:
    """Sum the phases (..., s, w) by their shares of the source pixel before, of their own and of the one after."""
    before, at, after = (_shares(by_phase.shape[-2], by_phase.device) @ by_phase).unbind(-2)
    at[..., :-1] += before[..., 1:]
    at[..., 0] += before[..., 0]  # the edge is repeated beyond the map
    at[..., 1:] += after[..., :-1]
    at[..., -1] += after[..., -1]
    return at


@cache
def _shares(phases: int, device: torch.device) -> Tensor:
    """(3, phases): share of the source pixel before, of its own and of the one after in each phase."""
    shares = [[max(-offset, 0), 1 - abs(offset), max(offset, 0)] for offset in _offsets(phases)]
    return torch.tensor(shares, device=device).t()
