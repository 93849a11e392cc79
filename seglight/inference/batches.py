"""Images of a batch, in whatever form a data loader returns it, and their labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.inference.no_data import empty_pixels, no_data_label
from seglight.interfaces import Batch
from seglight.models.encoders.band_inputs import TORCH_TYPES


def images_of(batch: Any, bands: Bands = RGB) -> Iterator[Tensor]:
    """Each image of a batch by itself, (1, C, H, W), at its own size.

    Args:
        batch: Images (B, C, H, W), as a tensor, first in a sequence, or as `image` of a dict, which may have the
            `size` (H, W) of each image within its padding.
        bands: What the net reads.

    Raises:
        UserError: The batch has no such images.
    """
    dtype = TORCH_TYPES[bands.type]
    found = batch.get("image") if isinstance(batch, Mapping) else batch
    if isinstance(found, Sequence) and found:
        found = found[0]
    if not isinstance(found, Tensor) or found.ndim != 4 or found.dtype != dtype:
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        values = ", values 0 to 255" if dtype == torch.uint8 else ""
        raise UserError(
            f"the batch to predict holds {what} where {bands.type} images (B, C, H, W) are "
            f"needed{values}: let the data loader return them as a tensor, first in a tuple, or as `image` of a dict"
        )
    sizes = batch["size"] if isinstance(batch, Mapping) and "size" in batch else [found.shape[-2:]] * len(found)
    for image, (height, width) in zip(found, sizes, strict=True):
        yield image[None, :, :height, :width]


def single(batch: Batch, k: int) -> Batch:
    """The k-th image of a batch by itself, at its own size, with all that belongs to it."""
    height, width = batch["size"][k]
    held: Any = batch
    one: Any = {key: held[key][k : k + 1] for key in Batch.__annotations__ if key in held}
    for key in one.keys() & {"image", "mask", "segments"}:
        one[key] = one[key][..., :height, :width]
    return cast(Batch, one)


def ignored(labels: Tensor, image: Tensor, bands: Bands, num_classes: int, ignore_index: int) -> Tensor:
    """Labels (H, W) in which pixels without data have the label of no class.

    Args:
        labels: Label map (H, W) on the CPU.
        image: Image (bands, H, W).
        bands: What it holds.
        num_classes: Number of classes.
        ignore_index: Ignored value of the masks.
    """
    if not bands.has_nodata:
        return labels
    empty = empty_pixels(image.permute(1, 2, 0).cpu().numpy(), bands)
    value = no_data_label(num_classes, ignore_index, labels.numpy().dtype)
    return labels.masked_fill(torch.from_numpy(empty), value)
