"""Bands of the images that a net reads: encoders are prepared for them before weights are loaded."""

from torch import nn

from seglight.errors import UserError
from seglight.images.bands import Bands, unnamed
from seglight.interfaces import Encoder, bands_of


def use_bands(net: nn.Module, bands: Bands) -> None:
    """Tell every encoder of a net what the images hold; for 8-bit RGB, nothing changes in encoders that read it.

    Call it once the net is built, and before weights of a checkpoint are loaded: the shapes of the first convolution
    and of the normalisation depend on the bands.

    Args:
        net: The net.
        bands: What the images hold.

    Raises:
        UserError: The net reads other images, or has no encoder that can be told.
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
        elif encoder.bands != bands:
            raise UserError(
                f"the images are {bands.line()}, and the weights of {type(encoder).__name__} are those of a net for "
                f"{encoder.bands.line()}{_same_line(bands, encoder.bands)}: take one that was trained on such images"
            )


def _same_line(bands: Bands, others: Bands) -> str:
    return " with other statistics, limits or values without data" if bands.line() == others.line() else ""


def pixels_read(net: nn.Module) -> Bands:
    """What the images hold that a net reads: that of its first encoder, else 8-bit values of its bands."""
    encoder = next((module for module in net.modules() if isinstance(module, Encoder)), None)
    if encoder is None or encoder.bands is None or encoder.bands.is_rgb8:
        return unnamed(bands_of(net))
    return encoder.bands
