"""Whether a net takes certain images, and the error message if not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglight.errors import UserError
from seglight.interfaces import SegOutput, seg_output
from seglight.models.encoders.normalized import NormalizedEncoder


def encoder_channels(net: nn.Module) -> int | None:
    """Channels of the images that the net's encoder takes; None: it is no encoder of seglight."""
    encoder = next((part for part in net.modules() if isinstance(part, NormalizedEncoder)), None)
    return None if encoder is None else encoder.in_channels


def wrong_channels(net: int, images: int) -> str:
    """Error message for a net and images of different numbers of channels."""
    return (
        f"the net is for images of {net} channels, these have {images}: set in_channels of "
        f"the arguments of model.net.encoder to {images}, or take other images"
    )


def misfit(net: nn.Module, image: Tensor, error: Exception) -> str | None:
    """Error message for an exception of a forward pass that is due to the images; None: it has another cause.

    Args:
        net: The net.
        image: Images (B, C, H, W).
        error: Exception of the pass.
    """
    first = next((part for part in net.modules() if isinstance(part, nn.Conv2d)), None)
    channels = encoder_channels(net) or (None if first is None else first.in_channels)
    if channels is not None and channels != image.shape[1]:
        return wrong_channels(channels, image.shape[1])
    size = f"{image.shape[-2]}x{image.shape[-1]}"
    if "Expected more than 1 value per channel" in str(error):
        return (
            f"a batch of one image of {size} leaves a batch norm of the net one value for each channel, which has no "
            "variance: set data.batch_size to 2 or more, or take a larger crop_size"
        )
    if "size can't be greater than actual input size" in str(error):
        return f"images of {size} are smaller than the net's kernels: take a larger crop_size, or larger images"
    return None


def checked_forward(net: nn.Module, image: Tensor) -> SegOutput:
    """Compute logits (B, C, h, w) at the head's stride; raises as `checked_output`."""
    return seg_output(checked_output(net, image))


def checked_output(net: nn.Module, image: Tensor) -> Any:
    """Compute what the net gives.

    Args:
        net: The net.
        image: Images (B, C, H, W).

    Raises:
        UserError: The net is for images of other channels, or cannot be trained on a batch of one.
    """
    try:
        return net(image)
    except (RuntimeError, ValueError) as error:
        complaint = misfit(net, image, error)
        if complaint is None:
            raise
        raise UserError(complaint) from error


def has_batch_norm(net: nn.Module) -> bool:
    """Whether the net's output depends on batch statistics in training."""
    return any(isinstance(part, _BatchNorm) for part in net.modules())


@contextmanager
def tried_out(net: nn.Module) -> Iterator[None]:
    """Context of forward passes in training mode that do not change the net; frozen batch norms use their averages.

    Later random numbers are those that would have been drawn without the passes, and there is no gradient.
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
