"""Label maps out of head-stride logits, band by band."""

import torch
from torch import Tensor

from seglight.ops.bands import bands


def upsampled_argmax(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The class with the largest bilinearly upsampled logit at each pixel.

    Args:
        logits: (B, C, h, w), C <= 255.
        size: (H, W) of the label map.

    Returns:
        uint8 (B, H, W).
    """
    labels = torch.empty((logits.shape[0], *size), dtype=torch.uint8, device=logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        for band in bands(logits, size):
            labels[:, band.start : band.stop] = band.values.argmax(1)
    return labels
