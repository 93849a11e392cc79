"""Nets for images of any bands, and images of the kind that a net reads."""

import torch
from torch import Tensor, nn

from seglight.checkpoints.net_bands import blank_image, pixels_read, use_bands
from seglight.models.encoders.band_inputs import TORCH_TYPES

__all__ = ["blank_image", "noise", "pixels_read", "use_bands"]


def noise(net: nn.Module, size: tuple[int, int]) -> Tensor:
    """An image (1, bands, H, W) of random values from 0 to 255, of the bands and the type that a net reads."""
    bands = pixels_read(net)
    return torch.randint(256, (1, len(bands.names), *size), dtype=torch.uint8).to(TORCH_TYPES[bands.type])
