"""Encoders that normalise images themselves, so that training, evaluation and export can't differ."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Encoder


class NormalizedEncoder(Encoder):
    """Base class of encoders with buffers `mean` and `std`, (1, in_channels, 1, 1) in pixel units.

    Images have values from 0 to 255. For uint8 that needs no check; the values of any other type are checked, because
    an image in [0, 1], or one that is normalised already, would silently give other features.

    Args:
        mean: Mean of R, G, B in [0, 1], or of each channel.
        std: Standard deviation of R, G, B in [0, 1], or of each channel.
        in_channels: Channels of the image. If there are not three, mean and std of R, G, B repeat in turn, as the
            weights do; a single channel has their average.

    Raises:
        UserError: There are neither three nor `in_channels` values.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], in_channels: int = 3) -> None:
        super().__init__()
        self.in_channels = in_channels
        # in pixel units, so that uint8 is read without a division
        self.register_buffer("mean", 255 * per_channel("mean", mean, in_channels))
        self.register_buffer("std", 255 * per_channel("std", std, in_channels))

    def normalized(self, image: Tensor) -> Tensor:
        """uint8 (B, in_channels, H, W) to floating point of mean 0 and deviation 1, in the same memory format.

        Raises:
            UserError: The image has another number of channels, or is not uint8 and has values of another range.
        """
        check_pixels(image, self.mean.shape[1])
        if image.is_contiguous() or not image.is_contiguous(memory_format=torch.channels_last):
            return image.to(self.mean.dtype, copy=True).sub_(self.mean).div_(self.std)
        # a row of pixels at a time: four times as fast as three channels at a time
        width = image.shape[-1]
        mean, std = (value.flatten().repeat(width) for value in (self.mean, self.std))
        rows = image.permute(0, 2, 3, 1).flatten(2).to(mean.dtype, copy=True).sub_(mean).div_(std)
        return rows.view(*rows.shape[:2], width, -1).permute(0, 3, 1, 2)

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of the bands, in [0, 1]."""
        return _fractions(self.mean), _fractions(self.std)


def _fractions(pixels: Tensor) -> tuple[float, ...]:
    return tuple(round(value / 255, 6) for value in pixels.flatten().tolist())


def check_pixels(image: Tensor, channels: int) -> None:
    """Check that an encoder can read an image: its shape, and the values of any type but uint8.

    NaN is accepted, because it shows in the output. Within compilers and exporters values are not checked.

    Args:
        image: Image (B, channels, H, W) of values from 0 to 255.
        channels: Channels that the encoder reads.

    Raises:
        UserError: The image has another number of channels, or values of another range: all of them in [0, 1] but not
            all 0, or one below 0 or above 255.
    """
    if image.ndim != 4 or image.shape[1] != channels:
        bands = f"{channels} channel{'' if channels == 1 else 's'}"
        raise UserError(
            f"the image is {tuple(image.shape)}, and the encoder reads {bands}, (B, {channels}, H, W): give an image "
            "of these, or build the encoder with another in_channels"
        )
    if image.dtype == torch.uint8 or image.is_meta or not image.numel() or torch.compiler.is_compiling():
        return
    low, high = (float(value) for value in image.detach().float().aminmax())
    # beyond 255 by what interpolation rounds to
    if low < 0 or high > 255.01 or 0 < high <= 1:
        raise UserError(
            f"the image is {str(image.dtype).removeprefix('torch.')} with values from {low:g} to {high:g}, and the net "
            "normalises values from 0 to 255 by itself: give it uint8 as it was read, or floats of that range"
        )


def told_bands(net: nn.Module) -> int | None:
    """Channels of the images that a net's first encoder reads; None: it has no encoder of seglight."""
    encoder = next((module for module in net.modules() if isinstance(module, NormalizedEncoder)), None)
    return None if encoder is None else encoder.mean.shape[1]


def cut_to(features: Sequence[Tensor], strides: Sequence[int], image: Tensor) -> list[Tensor]:
    """Features of a padded image without what lies beyond the image; sizes are rounded up."""
    height, width = image.shape[-2:]
    return [x[..., : -(-height // s), : -(-width // s)] for x, s in zip(features, strides, strict=True)]


def per_channel(name: str, values: Sequence[float], channels: int) -> Tensor:
    """Values of R, G, B, or of each channel, as (1, channels, 1, 1); see `NormalizedEncoder`.

    Args:
        name: "mean" or "std", for the error message.
        values: Values of the channels.
        channels: Channels of the image.

    Raises:
        UserError: There are neither three nor `channels` values.
    """
    given = torch.tensor(values)
    if len(given) not in (3, channels):
        raise UserError(f"encoder.{name} {list(values)}: give 3 values, or one for each of {channels} channels")
    if len(given) != channels:
        given = given.mean().view(1) if channels == 1 else given.repeat(-(-channels // 3))[:channels]
    return given.view(1, -1, 1, 1)
