"""Encoders with the normalisation of their weights built in: training, evaluation and export can't differ."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Encoder


class NormalizedEncoder(Encoder):
    """Buffers `mean` and `std`, (1, in_channels, 1, 1) in pixel units, and what they are for.

    Args:
        mean: Of R, G, B in [0, 1], or of each channel.
        std: Likewise.
        in_channels: Of the image. Where there are not three, and mean and std are R, G, B's, they repeat in turn, as
            the weights do; a single channel has their average.

    Raises:
        UserError: Neither three nor `in_channels` values.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], in_channels: int = 3) -> None:
        super().__init__()
        # in pixel units, so that uint8 is read without a division
        self.register_buffer("mean", 255 * per_channel("mean", mean, in_channels))
        self.register_buffer("std", 255 * per_channel("std", std, in_channels))

    def normalized(self, image: Tensor) -> Tensor:
        """uint8 (B, in_channels, H, W) to floating point of mean 0 and deviation 1, in the same memory format."""
        if image.is_contiguous() or not image.is_contiguous(memory_format=torch.channels_last):
            return image.to(self.mean.dtype, copy=True).sub_(self.mean).div_(self.std)
        # a row of pixels at a time: four times as fast as three channels at a time
        width = image.shape[-1]
        mean, std = (value.flatten().repeat(width) for value in (self.mean, self.std))
        rows = image.permute(0, 2, 3, 1).flatten(2).to(mean.dtype, copy=True).sub_(mean).div_(std)
        return rows.view(*rows.shape[:2], width, -1).permute(0, 3, 1, 2)


def cut_to(features: Sequence[Tensor], strides: Sequence[int], image: Tensor) -> list[Tensor]:
    """Features of a padded image without what lies beyond the image; sizes are rounded up."""
    height, width = image.shape[-2:]
    return [x[..., : -(-height // s), : -(-width // s)] for x, s in zip(features, strides, strict=True)]


def per_channel(name: str, values: Sequence[float], channels: int) -> Tensor:
    """Values of R, G, B, or of each channel, as (1, channels, 1, 1); see `NormalizedEncoder`.

    Args:
        name: "mean" or "std", for the complaint.
        values: They.
        channels: Of the image.

    Raises:
        UserError: Neither three nor `channels` values.
    """
    given = torch.tensor(values)
    if len(given) not in (3, channels):
        raise UserError(f"encoder.{name} {list(values)}: give 3 values, or one for each of {channels} channels")
    if len(given) != channels:
        given = given.mean().view(1) if channels == 1 else given.repeat(-(-channels // 3))[:channels]
    return given.view(1, -1, 1, 1)
