"""Weights of files that were trained on other bands than red, green and blue."""

from collections.abc import Mapping, Sequence
from typing import Any

from seglight.errors import UserError
from seglight.images.bands import RGB
from seglight.models.encoders.first_convolution import values_for

NO_FILES = ("hub", "offline")
"""Choices of `weights` that are trained on red, green and blue."""


def channels_of(in_channels: int, weight_bands: Sequence[str] | None, weights: str | None) -> int:
    """Channels of the images that an encoder is built for.

    Args:
        in_channels: The argument of the encoder.
        weight_bands: The argument of the encoder.
        weights: The argument of the encoder.

    Raises:
        UserError: `weight_bands` is empty, names a band twice, or does not go with the other two.
    """
    if weight_bands is None:
        return in_channels
    names = list(weight_bands)
    if not names or len(set(names)) < len(names):
        raise UserError(f"encoder.weight_bands {names}: name each band of the file's first convolution once")
    if in_channels not in (3, len(names)):
        raise UserError(f"encoder.in_channels {in_channels}: weight_bands names {len(names)}: leave in_channels out")
    if weights in NO_FILES:
        raise UserError(
            f"encoder.weight_bands {names}: weights '{weights}' were trained on red, green and blue: give a file, or "
            "leave weight_bands out"
        )
    return len(names)


def own_statistics(
    net: Any, mean: Sequence[float] | None, std: Sequence[float] | None, weight_bands: Sequence[str] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation in [0, 1] of an encoder of timm: those given, else timm's.

    Bands that are neither red, green nor blue have timm's average.
    """
    own_mean, own_std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
    if weight_bands is not None:
        own_mean, own_std = (values_for(values, RGB.names, weight_bands) for values in (own_mean, own_std))
    return mean or own_mean, std or own_std


def check_file(first: str | Sequence[str] | None, theirs: Mapping[str, Any], path: object, channels: int) -> None:
    """Check that the first convolution of a file reads so many channels.

    Args:
        first: timm's name of the model's first convolution, or of several.
        theirs: Tensors of the file.
        path: The file, for the message.
        channels: Number of the bands that `weight_bands` names.

    Raises:
        UserError: It reads another number.
    """
    for name in (first,) if isinstance(first, str) else first or ():
        found = next((value for key, value in theirs.items() if f".{key}".endswith(f".{name}.weight")), None)
        if found is not None and found.ndim == 4 and found.shape[1] != channels:
            raise UserError(
                f"{path}: its first convolution reads {found.shape[1]} bands, and encoder.weight_bands names "
                f"{channels}: name those that these weights were trained on"
            )
