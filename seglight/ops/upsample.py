"""Label maps and probabilities out of head-stride logits, without full-resolution logits."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.bands import Band, bands

TILE = 64
"""Rows and columns of logits that are upsampled together."""


def upsampled_argmax(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The class with the largest bilinearly upsampled logit at each pixel, the first of them where several are.

    The labels are those of `F.interpolate(...).argmax(1)` of contiguous logits to the last near-tie: torch's own kernel
    makes the values, which no kernel of ours could promise to equal. It is asked for a channel at a time, and on a CPU
    for those channels of a tile alone that have a chance of being the largest anywhere in it.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the label map.

    Returns:
        (B, H, W) uint8, or int16 for more than 256 classes.
    """
    batch, channels, height, width = logits.shape
    labels = torch.zeros((batch, *size), dtype=torch.uint8 if channels <= 256 else torch.int16, device=logits.device)
    tiled = not logits.is_cuda and min(height, width) > TILE
    # by a power of two a tile's pixels lie between its logits exactly as the whole map's do, rounding included
    tiled = tiled and all(_is_power_of_two(large, small) for large, small in zip(size, (height, width), strict=True))
    with torch.autocast(logits.device.type, enabled=False):
        for image, out in zip(logits, labels, strict=True):
            if tiled:
                _argmax_of_tiles(image.float().contiguous(), out)
            else:
                _first_largest((_upsampled(channel, size) for channel in image), range(channels), out)
    return labels


def upsampled_softmax(logits: Tensor, size: tuple[int, int]) -> Iterator[tuple[Band, Tensor]]:
    """Probabilities of the bilinearly upsampled logits, band by band.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the upsampled map.

    Yields:
        A band, and the probabilities (b, C, P) of its pixels in its order: `band.of` brings labels into it, `band.put`
        writes into a map.
    """
    for band in bands(logits, size):
        yield band, band.values.softmax(1)


def _is_power_of_two(large: int, small: int) -> bool:
    factor = large // small
    return large % small == 0 and factor & (factor - 1) == 0


def _upsampled(channel: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) to float32 (H, W)."""
    if tuple(channel.shape) == size:
        return channel.float()
    return F.interpolate(channel[None, None].float(), size, mode="bilinear", align_corners=False)[0, 0]


def _first_largest(values: Iterator[Tensor], labels: Sequence[int], out: Tensor) -> None:
    """Write the label of the largest values (H, W) into `out`, the first of equals; both come in the labels' order."""
    best = next(values)
    found = torch.full(best.shape, labels[0], dtype=out.dtype, device=out.device)
    for label, candidate in zip(labels[1:], values, strict=True):
        better = (candidate > best).view(torch.uint8).to(out.dtype)
        torch.maximum(found, better.mul_(label), out=found)  # labels grow
        best = torch.maximum(best, candidate)
    out.copy_(found)


def _argmax_of_tiles(image: Tensor, out: Tensor) -> None:
    """Label (H, W) out of logits (C, h, w), a tile at a time."""
    height, width = image.shape[1:]
    rise, run = out.shape[0] // height, out.shape[1] // width
    smallest, largest = image.aminmax()
    rounding = 1e-5 * torch.maximum(largest, -smallest)
    for top in range(0, height, TILE):
        # one logit more on each side: pixels at the rim lie between it and the tile's own
        first_row = max(0, top - 1)
        strip = image[:, first_row : top + TILE + 1]
        hopeless = _shortfall(strip) > rounding  # not of NaN
        for left in range(0, width, TILE):
            first_column = max(0, left - 1)
            columns = slice(first_column, left + TILE + 1)
            labels = (~hopeless[:, :, first_column : left + TILE].flatten(1).all(1)).nonzero().flatten().tolist()
            part = out[top * rise : (top + TILE) * rise, left * run : (left + TILE) * run]
            if len(labels) == 1:
                part.fill_(labels[0])
                continue
            source = strip[labels, :, columns].unsqueeze(0)
            size = (source.shape[2] * rise, source.shape[3] * run)
            values = F.interpolate(source, size, mode="bilinear", align_corners=False)[0]
            above, before = (top - first_row) * rise, (left - first_column) * run
            inner = values[:, above : above + part.shape[0], before : before + part.shape[1]].contiguous()
            _first_largest(iter(inner), labels, part)


def _shortfall(image: Tensor) -> Tensor:
    """By how much a class is below the best at least, between four neighbours of (C, h, w): (C, h - 1, w - 1).

    There an interpolated logit is no larger than the largest of the four, no smaller than the smallest: a class whose
    largest is below the smallest of another is nowhere the best.
    """
    rows = torch.maximum(image[:, 1:], image[:, :-1]), torch.minimum(image[:, 1:], image[:, :-1])
    largest = torch.maximum(rows[0][..., 1:], rows[0][..., :-1])
    smallest = torch.minimum(rows[1][..., 1:], rows[1][..., :-1])
    return smallest.amax(0) - largest
