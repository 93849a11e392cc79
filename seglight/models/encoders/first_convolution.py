"""First convolutions: found in an encoder, and rebuilt for images of other bands from the weights that they have."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from seglight.images.band_names import plain_names

SIDE = 64
"""Height and width of the image with which first convolutions are found."""

GREY = 100
"""Value of its pixels."""


def first_convolutions(encoder: nn.Module, image: Tensor, pixel: Tensor) -> list[nn.Conv2d]:
    """Convolutions that read the image itself; there are several where a stem has parallel branches.

    Args:
        encoder: The encoder, in evaluation mode.
        image: An image (1, C, H, W) with the same value everywhere.
        pixel: Values (C,) of a pixel as the encoder normalises it.
    """
    found: list[nn.Conv2d] = []

    def see(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        if x.ndim == 4 and x.shape[1] == len(pixel):
            middle = x[0, :, x.shape[2] // 2, x.shape[3] // 2]
            if torch.allclose(middle, pixel.to(middle.dtype), rtol=1e-4, atol=1e-4):
                found.append(conv)  # type: ignore[arg-type]  # only convolutions are watched

    watched = [part for part in encoder.modules() if isinstance(part, nn.Conv2d) and part.groups == 1]
    handles = [conv.register_forward_pre_hook(see) for conv in watched]
    try:
        with torch.no_grad():
            encoder(image)
    finally:
        for handle in handles:
            handle.remove()
    return list(dict.fromkeys(found))


def for_bands(conv: nn.Conv2d, trained: Sequence[str], names: Sequence[str]) -> None:
    """Rebuild a convolution in place for other inputs; see `rebuilt`."""
    parameters = dict(conv.named_parameters(recurse=False))
    values = rebuilt({name: value.detach() for name, value in parameters.items()}, trained, names)
    for name, value in values.items():
        setattr(conv, name, nn.Parameter(value, requires_grad=parameters[name].requires_grad))
    conv.in_channels = len(names)


def rebuilt(parameters: Mapping[str, Tensor], trained: Sequence[str], names: Sequence[str]) -> dict[str, Tensor]:
    """Those parameters of a convolution that are others for other inputs; see `filters`.

    A convolution that standardises its weights (timm's ScaledStdConv2d) would undo their scale: its `gain` has it.

    Args:
        parameters: Parameters of the convolution by name.
        trained: Names of the bands that the weights were trained on.
        names: Names of the new inputs.
    """
    weight = parameters["weight"]
    found = {"weight": filters(weight, trained, names)}
    if "gain" in parameters:
        before, after = (value.flatten(1).std(1, correction=0) for value in (weight, found["weight"]))
        found["gain"] = parameters["gain"] * (after / before.clamp_min(1e-12)).view(-1, 1, 1, 1)
    return found


def filters(weight: Tensor, trained: Sequence[str], names: Sequence[str]) -> Tensor:
    """Filters for other inputs, from those that were trained.

    An input of a name that the weights were trained on keeps its filter; the others start from the mean of all filters,
    as in "cross modality pre-training" (Wang et al., arXiv 1608.00859, section 3.3). All are multiplied by the number
    of trained inputs over that of the new ones, as timm does for other numbers of channels: an image whose inputs are
    all equal then gives a response of the same size as before, to which norms and later layers are used. For the same
    inputs, in any order, the filters are those that were trained, to the last bit.

    Args:
        weight: (out, len(trained), h, w).
        trained: Names of the bands that the weights were trained on.
        names: Names of the new inputs. They are compared as `plain_names` gives them.

    Returns:
        (out, len(names), h, w).
    """
    mean = weight.mean(1)
    chosen = [mean if place is None else weight[:, place] for place in matched(trained, names)]
    return torch.stack(chosen, 1) * (len(trained) / len(names))


def values_for(values: Sequence[float], trained: Sequence[str], names: Sequence[str]) -> list[float]:
    """A value of each new input: that of the trained band of its name, else the mean of all."""
    mean = sum(values) / len(values)
    return [mean if place is None else values[place] for place in matched(trained, names)]


def matched(trained: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """For each new input the index of the trained band of its name; None: there is none."""
    known = plain_names(trained)
    return [known.index(name) if name in known else None for name in plain_names(names)]
