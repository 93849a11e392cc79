"""Pad images so that every stride of a net divides them."""

import torch
import torch.nn.functional as F
from torch import Tensor

DIVISOR = 32
"""Images are padded to a multiple of this, the coarsest stride of the usual encoders."""


def pad_image(image: Tensor, divisor: int) -> Tensor:
    """Repeat the last row and column of (B, C, H, W), any dtype, until `divisor` divides H and W."""
    height, width = image.shape[-2:]
    if height % divisor == 0 and width % divisor == 0:
        return image
    row = torch.arange(round_up(height, divisor), device=image.device).clamp_(max=height - 1)
    column = torch.arange(round_up(width, divisor), device=image.device).clamp_(max=width - 1)
    return image.index_select(-2, row).index_select(-1, column)


def pad_mask(mask: Tensor, divisor: int, ignore_index: int) -> Tensor:
    """Add ignored rows and columns at the end of (B, H, W) until `divisor` divides H and W."""
    height, width = mask.shape[-2:]
    return F.pad(mask, (0, round_up(width, divisor) - width, 0, round_up(height, divisor) - height), value=ignore_index)


def round_up(length: int, divisor: int) -> int:
    """The next multiple of `divisor`, or `length` itself."""
    return -(-length // divisor) * divisor
