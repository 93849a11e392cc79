"""Walk the bilinear upsampling of logits in bands of pixels, so that no full-resolution copy is ever held.

Rows of a band are a matrix product of the few source rows under them. Columns, where the width grows by an integer, are
kept apart by their phase (column modulo factor): a lerp of two shifted rows for each, forward and back, without the
strided writes that would put them side by side. A loss doesn't care for the order of its pixels; `Band.of` brings
labels into it.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SOURCE_ROWS = 8
"""Source rows under a band, at most, on a CPU."""

GPU_BYTES = 2**24
"""Bytes of a band's values on a GPU: a thousandth of its memory, and kernels long enough to hide their launch."""


class Band(NamedTuple):
    """Some rows of the upsampled map of some images.

    Attributes:
        images: Which images.
        rows: Which rows.
        values: (b, C, P) float32, the upsampled logits of its P pixels in an order of its own. May be written over.
        sources: The rows of the logits that it was made from.
        weight: (rows, sources), the vertical interpolation between the two; None where the height stays.
        phases: Factor by which the width grows, or 1 where that is no integer: the pixels stand as (row, column).
    """

    images: slice
    rows: slice
    values: Tensor
    sources: slice
    weight: Tensor | None
    phases: int

    def of(self, full: Tensor) -> Tensor:
        """The band's part (b, ..., P) of a map (B, ..., H, W), in its order of pixels."""
        part = full[self.images, ..., self.rows, :]
        columns = part.shape[-1] // self.phases
        return part.reshape(*part.shape[:-1], columns, self.phases).transpose(-1, -2).flatten(-3)

    def put(self, full: Tensor, part: Tensor) -> None:
        """Write the band's part (b, ..., P) into a map (B, ..., H, W): the inverse of `of`."""
        columns = full.shape[-1] // self.phases
        rows = part.reshape(*part.shape[:-1], -1, self.phases, columns).transpose(-1, -2).flatten(-2)
        full[self.images, ..., self.rows, :] = rows


def bands(logits: Tensor, size: tuple[int, int]) -> Iterator[Band]:
    """Give `F.interpolate(logits, size, mode="bilinear", align_corners=False)` in float32, band by band.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the upsampled map.
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
            values = values.clone() if weight is None else product(weight, values)
            band = Band(some, target, values.flatten(2), sources, weight, phases)
            del values  # or else two bands are held at a time
            yield band
            del band


def add_band_gradient(gradient: Tensor, band: Band, slope: Tensor) -> None:
    """Add the gradient of a band's values (b, C, P) to that of the logits (B, C, h, w), in place."""
    slope = slope.view(*slope.shape[:2], band.rows.stop - band.rows.start, -1)
    if band.weight is not None:
        slope = product(band.weight.t(), slope)
    gradient[band.images, :, band.sources] += _narrow(slope, gradient.shape[-1], band.phases)


def product(left: Tensor, right: Tensor) -> Tensor:
    """`torch.matmul` of float32, in float32 whatever `torch.set_float32_matmul_precision` has made of it."""
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined] # set at import
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        return torch.matmul(left, right)
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _extent(logits: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Images and rows of a band: few rows, since each is a sum over all source rows of the band, of many images."""
    channels, source_height = logits.shape[1:3]
    height, width = size
    factor = -(-height // source_height)
    fit = max(factor, budget(logits.device) // (4 * channels * width))
    most = height if factor == 1 or logits.is_cuda else SOURCE_ROWS * factor
    rows = min(fit // factor * factor, most)
    return max(1, fit // rows), rows


@cache
def budget(device: torch.device) -> int:
    """Bytes of a band's values: on a CPU so much of the last cache that one pass leaves them there for the next."""
    if device.type == "cuda":
        return GPU_BYTES
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    last = max((int(path.read_text(encoding="utf-8").strip().removesuffix("K")) << 10 for path in sizes), default=2**25)
    return min(max(last // 7, 2**20), 2**23)


@lru_cache(maxsize=1024)  # the steps of a training ask for the same ones
def interpolation(start: int, stop: int, source: int, length: int, device: torch.device) -> tuple[slice, Tensor]:
    """Source entries under entries `start:stop` of `length`, and the (entries, sources) weights between the two."""
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
    """Distance of each phase's pixel from the middle of its source pixel, in source pixels."""
    return [(phase + 0.5) / phases - 0.5 for phase in range(phases)]


def widen(rows: Tensor, width: int, phases: int) -> Tensor:
    """Interpolate (b, C, r, w) along its rows: (b, C, r, W), where there are phases these one after the other."""
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


def _narrow(slope: Tensor, source_width: int, phases: int) -> Tensor:
    """The transpose of `widen`: (b, C, r, W) to (b, C, r, w)."""
    *lead, rows, width = slope.shape
    if width == source_width:
        return slope
    if phases > 1:
        return _fold(slope.view(*slope.shape[:-1], phases, source_width))
    if slope.is_cuda:  # torch's own backward adds in no fixed order there
        return product(slope, interpolation(0, width, source_width, width, slope.device)[1])
    source = [*lead, rows, source_width]
    narrowed: Tensor = torch.ops.aten.upsample_bilinear2d_backward(slope, [rows, width], source, False)
    return narrowed


def _fold(slope: Tensor) -> Tensor:
    """Sum the phases (..., s, w) by what each took of the source pixel before, its own and the one after."""
    before, at, after = product(_shares(slope.shape[-2], slope.device), slope).unbind(-2)
    at[..., :-1] += before[..., 1:]
    at[..., 0] += before[..., 0]  # the edge stands for what would be beyond it
    at[..., 1:] += after[..., :-1]
    at[..., -1] += after[..., -1]
    return at


@cache
def _shares(phases: int, device: torch.device) -> Tensor:
    """(3, phases): what each phase takes of the source pixel before, its own and the one after."""
    shares = [[max(-offset, 0), 1 - abs(offset), max(offset, 0)] for offset in _offsets(phases)]
    return torch.tensor(shares, device=device).t()
