"""16-bit pixels in operations that only move them."""

from collections.abc import Callable

import torch
from torch import Tensor


def moved(image: Tensor, move: Callable[[Tensor], Tensor]) -> Tensor:
    """What an operation that moves pixels makes of an image; bits of uint16 move as int16.

    CUDA kernels of torch that index and mirror know uint16 in late releases only.

    Args:
        image: Any shape and type.
        move: Operation that computes no values.
    """
    if image.dtype != torch.uint16:
        return move(image)
    return move(image.view(torch.int16)).view(torch.uint16)
