"""Whether a net can be trained on the images that it is given, and a line where it can't."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglight.models.encoders.normalized import NormalizedEncoder


def encoder_channels(net: nn.Module) -> int | None:
    """Channels of the images that the net's encoder is made for; None where it is none of seglight's."""
    encoder = next((part for part in net.modules() if isinstance(part, NormalizedEncoder)), None)
    return None if encoder is None else encoder.mean.shape[1]


def wrong_channels(net: int, images: int) -> str:
    """The line for a net and images of different numbers of channels."""
    return (
        f"the net is for images of {net} channels, these have {images}: set in_channels of "
        f"model.net.init_args.encoder.init_args to {images}, or take other images"
    )


def misfit(net: nn.Module, image: Tensor, error: Exception) -> str | None:
    """The line for an error of a forward pass that is due to the images; None where it is another.

    Args:
        net: The net.
        image: Its input, uint8 (B, C, H, W).
        error: What the pass has raised.
    """
    first = next((part for part in net.modules() if isinstance(part, nn.Conv2d)), None)
    channels = encoder_channels(net) or (None if first is None else first.in_channels)
    if channels is not None and channels != image.shape[1]:
        return wrong_channels(channels, image.shape[1])
    size = f"{image.shape[-2]}x{image.shape[-1]}"
    if "Expected more than 1 value per channel" in str(error):
        return (
            f"a batch of one image of {size} leaves a batch norm of the net one value for each channel, which has no "
            "variance: set data.init_args.batch_size to 2 or more, or take a larger crop_size"
        )
    if "size can't be greater than actual input size" in str(error):
        return f"images of {size} are smaller than the net's kernels: take a larger crop_size, or larger images"
    return None


def has_batch_norm(net: nn.Module) -> bool:
    """Whether batch statistics go into what the net gives while it is trained."""
    return any(isinstance(part, _BatchNorm) for part in net.modules())


@contextmanager
def tried_out(net: nn.Module) -> Iterator[None]:
    """Passes in training mode that leave the net as it is; batch norms that are frozen use their averages.

    Random numbers are those that would have been drawn without the passes, and there is no gradient.
    """
    modes = {part: part.training for part in net.modules()}
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    for part in modes:
        if isinstance(part, _BatchNorm) and part.weight is not None and not part.weight.requires_grad:
            part.eval()
    try:
        with torch.random.fork_rng(), torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training
        for name, buffer in net.named_buffers():
            buffer.copy_(buffers[name])
