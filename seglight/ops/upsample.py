"""Label maps and probabilities from logits at the head's stride, without full-resolution logits."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.bands import Band, bands, full_precision
from seglight.ops.label_tensors import label_dtype

NEAR = 4e-6
"""Two values of a pixel are near if they differ by no more than this share of the largest logit: a value of a band and
that of torch's own kernel are within 6 roundings of the true one, each of 6e-8 of the largest."""

GROUP = 6
"""Channels upsampled at a time on a GPU, where a kernel's launch costs as much as a channel's work. Compare others on a
GPU by `python -m benchmarks metric`."""

SMALL = 128
"""Largest sum of an output's sides for which torch's kernel has other last digits on a CPU."""

FEW = 3
"""Largest number of channels for which torch's kernel has other last digits on a CPU."""


def upsampled_argmax(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The class with the largest bilinearly upsampled logit at each pixel, the first of them if several are equal.

    The labels are exactly those of `F.interpolate(...).argmax(1)` of contiguous logits, also where two classes nearly
    tie. Torch's own kernel decides those, because no other could promise its rounding. On a CPU and for factors that
    are powers of two, bands of logits show which pixels these are, and torch upsamples only their surroundings;
    otherwise it upsamples the whole map, a channel at a time.

    Args:
        logits: (B, C, h, w), any floating point type.
        size: Height and width (H, W) of the label map.

    Returns:
        (B, H, W) uint8, or int32 for more than 255 classes.
    """
    with torch.autocast(logits.device.type, enabled=False), full_precision():
        found = BandLabels(logits, size)
        if found.by_bands:
            for band in bands(found.logits, size):
                best = band.values.amax(1, keepdim=True)
                found.add(band, band.values.gt_(best.sub_(found.margin)))
        return found.labels()


class BandLabels:
    """Computes the labels of `upsampled_argmax` in a band pass that has other purposes as well.

    Args:
        logits: (B, C, h, w).
        size: Height and width (H, W) of the label map.

    Attributes:
        by_bands: Whether `labels` needs `add` for every band; otherwise it reads the logits only.
        margin: Scalar float32; values of a pixel that differ by no more than it are near.
    """

    def __init__(self, logits: Tensor, size: tuple[int, int]) -> None:
        channels = logits.shape[1]
        self.logits = logits.detach()
        self.found = logits.new_empty((len(logits), *size), dtype=label_dtype(channels))
        self.patch = None if logits.is_cuda else _patch(logits.shape[2:], size)
        self.by_bands = self.patch is not None
        if self.by_bands:
            smallest, largest = self.logits.aminmax()
            self.margin = NEAR * torch.maximum(largest, -smallest).float()
            self.near = torch.empty(self.found.shape, dtype=torch.bool)
            # summed over the near classes of a pixel: C + label if there is one, 0 if none, otherwise at least 2 C
            self.numbers = torch.arange(channels, 2 * channels, dtype=torch.float32)[None]

    def add(self, band: Band, flags: Tensor) -> None:
        """Read the labels of a band from flags, within `full_precision`.

        Args:
            band: Position of the band.
            flags: (b, C, P) float32, 1 where a value is near its pixel's largest, otherwise 0.
        """
        classes = flags.shape[1]
        label = (self.numbers @ flags).squeeze(1) - classes
        band.put(self.near, (label < 0) | (label >= classes))  # no value is near infinity or NaN
        band.put(self.found, label.to(self.found.dtype))

    def labels(self) -> Tensor:
        """(B, H, W) uint8, or int32 for more than 255 classes."""
        with torch.autocast(self.logits.device.type, enabled=False), full_precision():
            for k, (image, out) in enumerate(zip(self.logits, self.found, strict=True)):
                if image.is_cuda:
                    _argmax_by_group(image, out)
                    continue
                pixels = self.near[k].nonzero() if self.patch else None
                if self.patch is None or pixels is None or 4 * len(pixels) * self.patch.pixels > out.numel():
                    _argmax_by_channel(image, out)
                elif len(pixels):
                    decided = _argmax_at(image.float(), pixels, self.patch, self.margin)
                    out[tuple(pixels.T)] = decided.to(out.dtype)
        return self.found


def upsampled_softmax(
    logits: Tensor, size: tuple[int, int], temperature: float | None = None
) -> Iterator[tuple[Band, Tensor]]:
    """Yield the softmax of the bilinearly upsampled logits, band by band.

    While it is being consumed, float32 matrix products are computed in float32, as by `full_precision`.

    Args:
        logits: (B, C, h, w), any floating point type.
        size: Height and width (H, W) of the upsampled map.
        temperature: Divisor of the upsampled logits; None: 1.

    Yields:
        A band, and the probabilities (b, C, P) of its pixels in its own order: `band.of` brings labels into that order,
        `band.put` writes into a map.
    """
    with full_precision():
        for band in bands(logits, size):
            values = band.values if temperature is None else band.values / temperature
            yield band, values.softmax(1)


def _argmax_by_channel(image: Tensor, out: Tensor) -> None:
    """Write the labels (H, W) of logits (C, h, w), from torch's values, one channel after the other."""
    # torch has other kernels for few channels and for small maps: they get the whole map at once
    group = len(image) if len(image) <= FEW or sum(out.shape) <= SMALL else 1
    values = (value for channels in torch.split(image, group) for value in _upsampled(channels[None], out.shape)[0])
    best = next(values)
    out.zero_()
    for label, candidate in enumerate(values, 1):
        better = (candidate > best).view(torch.uint8).to(out.dtype)
        torch.maximum(out, better.mul_(label), out=out)  # labels grow
        best = torch.maximum(best, candidate)


def _argmax_by_group(image: Tensor, out: Tensor) -> None:
    """Write the labels (H, W) of logits (C, h, w) on a GPU, whose kernel treats each channel independently."""
    best = torch.full(out.shape, -torch.inf, device=out.device)
    out.zero_()
    for first in range(0, len(image), GROUP):
        value, label = _upsampled(image[None, first : first + GROUP], out.shape)[0].max(0)
        better = ~(value <= best)  # NaN is the largest, as in torch
        torch.where(better, (label + first).to(out.dtype), out, out=out)
        best = torch.where(better, value, best)


def _upsampled(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """(n, c, h, w) to float32 (n, c, H, W)."""
    if logits.shape[2:] == size:
        return logits.float()
    return F.interpolate(logits.float().contiguous(), size, mode="bilinear", align_corners=False)


class _Patch(NamedTuple):
    """Rows and columns of logits around a pixel, which torch upsamples exactly as it does the whole map."""

    rows: int
    columns: int
    rise: int
    run: int

    @property
    def pixels(self) -> int:
        return self.rows * self.rise * self.columns * self.run


def _patch(source: Sequence[int], size: tuple[int, int]) -> _Patch | None:
    """Return the patch, or None: only for powers of two the position of a pixel is exactly that within a patch."""
    rise, run = (large // small for large, small in zip(size, source, strict=True))
    powers = rise > 0 and run > 0 and rise & (rise - 1) == run & (run - 1) == 0
    if not powers or size != (source[0] * rise, source[1] * run) or rise == run == 1:
        return None
    rows, columns = 3, max(3, (SMALL - 3 * rise) // run + 1)
    return _Patch(rows, columns, rise, run) if rows <= source[0] and columns <= source[1] else None


def _argmax_at(image: Tensor, pixels: Tensor, patch: _Patch, margin: Tensor) -> Tensor:
    """Labels (N,) of pixels (N, 2) of the upsampled logits (C, h, w); torch upsamples the classes that are near."""
    y, x = pixels.unbind(1)
    top = (y // patch.rise - 1).clamp_(0, image.shape[1] - patch.rows)
    left = (x // patch.run - 1).clamp_(0, image.shape[2] - patch.columns)
    row, column = y - top * patch.rise, x - left * patch.run
    rows = top[:, None, None] + torch.arange(patch.rows)[:, None]
    columns = left[:, None, None] + torch.arange(patch.columns)
    around = image[:, rows, columns].transpose(0, 1)
    size = (patch.rows * patch.rise, patch.columns * patch.run)
    if len(image) <= FEW:
        return _upsampled(around, size)[torch.arange(len(pixels)), :, row, column].argmax(1)
    tents = _tent(row, patch.rise, patch.rows), _tent(column, patch.run, patch.columns)
    values = torch.einsum("ncij,ni,nj->nc", around, *tents)
    pixel, label = torch.logical_not(values < values.amax(1, keepdim=True) - margin).nonzero().unbind(1)
    exact = _upsampled(around[pixel, label][:, None], size)[:, 0]
    values.fill_(-torch.inf)[pixel, label] = exact[torch.arange(len(exact)), row[pixel], column[pixel]]
    return values.argmax(1)


def _tent(position: Tensor, factor: int, length: int) -> Tensor:
    """Weights (N, length) of the logits of a row at N positions of the row upsampled by a factor."""
    centre = ((position + 0.5) / factor - 0.5).clamp_(0, length - 1)
    return (1 - (centre[:, None] - torch.arange(length)).abs()).clamp_(min=0)
