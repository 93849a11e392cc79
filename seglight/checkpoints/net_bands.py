"""Bands of the images that a net reads: encoders are prepared for them before weights are loaded."""

import numpy as np
import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.bands import Bands, unnamed
from seglight.interfaces import Encoder, bands_of


class MatchingEncoder(Encoder):
    """Base class of encoders that can start from weights of other bands than their own."""

    def matched_weights(self, weights: dict[str, Tensor], trained: Bands) -> dict[str, Tensor]:
        """Weights of the same encoder that was trained on other bands, for those that this one reads, by their names.

        Args:
            weights: Tensors by the keys of this encoder.
            trained: What the images held that they were trained on.

        Returns:
            The same tensors; those that depend on the bands have been rebuilt.
        """
        raise NotImplementedError


def use_bands(net: nn.Module, bands: Bands) -> None:
    """Tell every encoder of a net what the images hold; for 8-bit RGB, nothing changes in encoders that read it.

    Call it once the net is built, and before weights of a checkpoint are loaded: the shapes of the first convolution
    and of the normalisation depend on the bands. Encoders that know them already, as those of a checkpoint, keep their
    own mean and std.

    Args:
        net: The net.
        bands: What the images hold.

    Raises:
        UserError: The net reads images in another way, or has no encoder that can be told.
    """
    encoders = [module for module in net.modules() if isinstance(module, Encoder)]
    if not encoders and not bands.is_rgb8:
        raise UserError(
            f"the images are {bands.line()}, and {type(net).__name__} has no seglight.interfaces.Encoder that could be "
            "told of them: give it one, such as seglight.models.TimmEncoder"
        )
    for encoder in encoders:
        if encoder.bands is None:
            encoder.use_bands(bands)
            encoder.bands = bands
        elif difference := encoder.bands.difference(bands):
            raise UserError(
                f"the weights of {type(encoder).__name__} and the images have {difference}: take a net that was "
                "trained on such images"
            )


def check_same_bands(trained: Bands, bands: Bands) -> None:
    """Refuse to resume a run with images that its net would read in another way.

    Args:
        trained: What the images of the checkpoint hold.
        bands: What those of the data hold.

    Raises:
        UserError: They differ in more than the mean and std, which the checkpoint brings.
    """
    if difference := trained.difference(bands):
        raise UserError(
            f"the checkpoint and the data have {difference}: declare the bands as they were, or start another run "
            "from its weights with model.weights"
        )


def pixels_read(net: nn.Module) -> Bands:
    """What the images hold that a net reads: that of its first encoder, else 8-bit values of its bands."""
    encoder = next((module for module in net.modules() if isinstance(module, Encoder)), None)
    if encoder is None or encoder.bands is None or encoder.bands.is_rgb8:
        return unnamed(bands_of(net))
    return encoder.bands


def blank_image(
    net: nn.Module, size: tuple[int, int], batch: int = 1, device: torch.device | str | None = None
) -> Tensor:
    """Images (batch, bands, H, W) of zeros, of the bands and the type that a net reads."""
    bands = pixels_read(net)
    return torch.from_numpy(np.zeros((batch, len(bands.names), *size), bands.dtype)).to(device or "cpu")
