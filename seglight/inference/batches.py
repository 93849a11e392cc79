"""Images of a batch, in whatever form a data loader returns it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seglight.errors import UserError


def images_of(batch: Any) -> Iterator[Tensor]:
    """Each image of a batch by itself, uint8 (1, C, H, W), at its own size.

    Args:
        batch: Images uint8 (B, C, H, W), as a tensor, first in a sequence, or as `image` of a dict, which may have the
            `size` (H, W) of each image within its padding.

    Raises:
        UserError: The batch has no such images.
    """
    found = batch.get("image") if isinstance(batch, Mapping) else batch
    if isinstance(found, Sequence) and found:
        found = found[0]
    if not isinstance(found, Tensor) or found.ndim != 4 or found.dtype != torch.uint8:
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"the batch to predict holds {what} where uint8 images (B, C, H, W) are needed, values 0 to 255: let the "
            "data loader return them as a tensor, first in a tuple, or as `image` of a dict"
        )
    sizes = batch["size"] if isinstance(batch, Mapping) and "size" in batch else [found.shape[-2:]] * len(found)
    for image, (height, width) in zip(found, sizes, strict=True):
        yield image[None, :, :height, :width]
