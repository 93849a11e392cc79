"""Label maps and probabilities out of head-stride logits, without full-resolution logits."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.bands import Band, bands


def upsampled_argmax(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The class with the largest bilinearly upsampled logit at each pixel, the first of them where several are.

    Channels are upsampled one after the other by torch's own kernel, each against the best so far: the labels are those
    of `F.interpolate(...).argmax(1)` to the last near-tie, which a kernel of our own could not promise.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the label map.

    Returns:
        (B, H, W) uint8, or int16 for more than 256 classes.
    """
    batch, channels = logits.shape[:2]
    labels = torch.zeros((batch, *size), dtype=torch.uint8 if channels <= 256 else torch.int16, device=logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        for image, out in zip(logits, labels, strict=True):
            best = _upsampled(image[:1], size).clone()  # where nothing is upsampled it is the caller's
            for label in range(1, channels):
                values = _upsampled(image[label : label + 1], size)
                out.masked_fill_(values > best, label)
                torch.maximum(best, values, out=best)
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


def _upsampled(channel: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, h, w) to float32 (H, W)."""
    if tuple(channel.shape[1:]) == size:
        return channel[0].float()
    return F.interpolate(channel.unsqueeze(0).float(), size, mode="bilinear", align_corners=False)[0, 0]
