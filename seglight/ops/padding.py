"""Padding of images to sizes that every stride of a net divides."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.sizes import round_up
from seglight.ops.unsigned import moved


def pad_image(image: Tensor, divisor: int) -> Tensor:
    """Repeat the last row and column of (B, C, H, W), any dtype, until `divisor` divides H and W."""
    height, width = image.shape[-2:]
    if height % divisor == 0 and width % divisor == 0:
        return image
    row = torch.arange(round_up(height, divisor), device=image.device).clamp_(max=height - 1)
    column = torch.arange(round_up(width, divisor), device=image.device).clamp_(max=width - 1)
    return moved(image, lambda pixels: pixels.index_select(-2, row).index_select(-1, column))


def pad_mask(mask: Tensor, divisor: int, ignore_index: int) -> Tensor:
    """Add ignored rows and columns at the end of (B, H, W) until `divisor` divides H and W."""
    height, width = mask.shape[-2:]
    return F.pad(mask, (0, round_up(width, divisor) - width, 0, round_up(height, divisor) - height), value=ignore_index)
