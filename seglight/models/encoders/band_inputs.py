"""Input channels of a net from images of any bands: no data, clip, log and ratios, which exported files hold, too."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.bands import RATIO_STD, Bands

TORCH_TYPES = {"uint8": torch.uint8, "uint16": torch.uint16, "int16": torch.int16, "float32": torch.float32}
"""Types of images by their names in `Bands`."""


class BandInputs(nn.Module):
    """Turns images as they are stored into input channels that have mean 0 and deviation 1.

    What is no data becomes 0, the mean of its band, and so does a ratio of a band without data. Ratios are those of the
    values as they are stored, within -1 to 1, and 0 where their denominator is 0.

    Args:
        bands: What the images hold.
    """

    low: Tensor
    high: Tensor
    least: Tensor
    logged: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, bands: Bands) -> None:
        super().__init__()
        self.bands = bands
        for name, values in _limits(bands).items():
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        for place, name in enumerate(("first", "second")):
            indices = [bands.names.index(pair[place]) for pair in bands.ratios.values()]
            self.register_buffer(name, torch.tensor(indices, dtype=torch.long), persistent=False)

    def forward(self, image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Images (B, bands, H, W) of the declared type to floating point (B, inputs, H, W).

        Args:
            image: The images.
            mean: Mean of each input after clip and log, (1, inputs, 1, 1).
            std: Standard deviation of each input.

        Raises:
            UserError: The image has another type or number of bands; or the net was converted to 16 bits as a whole,
                which cannot hold the values of images.
        """
        check_declared(image, self.bands)
        if mean.dtype.itemsize < 4:
            raise UserError(
                f"the net's mean and std of {self.bands.line()} are {str(mean.dtype).removeprefix('torch.')}, which is "
                "too coarse for their values: train with trainer.precision bf16-mixed or 16-mixed instead of -true"
            )
        values = image.to(mean.dtype)
        missing = missing_values(values, self.bands)
        if missing is not None:
            values = values.masked_fill(missing, 0)
        inputs = self._scaled(values)
        if self.bands.ratios:
            first, second = (values.index_select(1, index) for index in (self.first, self.second))
            inputs = torch.cat([inputs, _ratio(first, second)], 1)
            if missing is not None:
                either = missing.index_select(1, self.first) | missing.index_select(1, self.second)
                missing = torch.cat([missing, either], 1)
        inputs = (inputs - mean) / std
        return inputs if missing is None else inputs.masked_fill(missing, 0)

    def without_data(self, image: Tensor) -> Tensor | None:
        """Pixels (B, H, W) of images (B, bands, H, W) that have data in no band; None: the values are all data."""
        missing = missing_values(image.to(torch.float32), self.bands)
        return None if missing is None else missing.all(1)

    def _scaled(self, values: Tensor) -> Tensor:
        """Values within the limits of `clip`, and their logarithms in the bands of `log`."""
        bands = self.bands
        if bands.clip or bands.log:
            values = torch.minimum(torch.maximum(values, self.low), self.high)
        if not bands.log:
            return values
        # not below 0 in the other bands either: the gradient of what is not chosen has to be finite
        logarithms = torch.log1p((values - self.least).clamp(min=0))
        return torch.where(self.logged, logarithms, values)


def missing_values(values: Tensor, bands: Bands) -> Tensor | None:
    """Which values of images (B, bands, H, W), as floating point, are no data; None: there can be none.

    This is `Bands.invalid` for tensors.
    """
    conditions = [~values.isfinite()] if bands.type == "float32" else []
    if bands.nodata is not None and bands.nodata == bands.nodata:  # NaN is not finite anyway
        conditions.append(values == bands.nodata)
    if bands.valid is not None:
        conditions += [values < bands.valid[0], values > bands.valid[1]]
    return reduce(torch.logical_or, conditions) if conditions else None


def check_declared(image: Tensor, bands: Bands) -> None:
    """Check the shape and the type of images.

    8-bit bands may also be floating point of values from 0 to 255, as attacks and mixtures of images make them.

    Args:
        image: Images (B, bands, H, W).
        bands: What they should hold.

    Raises:
        UserError: They have another number of bands or another type.
    """
    count = len(bands.names)
    kind = str(image.dtype).removeprefix("torch.")
    if image.ndim != 4 or image.shape[1] != count:
        raise UserError(
            f"the image is {kind} {tuple(image.shape)}, and the net reads {bands.line()}, (B, {count}, H, W): give it "
            "images of these bands"
        )
    if image.dtype != TORCH_TYPES[bands.type] and not (bands.type == "uint8" and image.is_floating_point()):
        raise UserError(
            f"the image is {kind}, and the net reads {bands.line()}, which it normalises by itself: give it images of "
            "that type, as they were read"
        )


def statistics(bands: Bands) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each input, those of ratios included; empty if `bands` has none."""
    if not bands.mean:
        return (), ()
    count = len(bands.inputs)
    mean, std = (0.0,) * (count - len(bands.mean)), (RATIO_STD,) * (count - len(bands.std))
    return (*bands.mean, *mean), (*bands.std, *std)


def _limits(bands: Bands) -> dict[str, Sequence[float] | Sequence[bool]]:
    """The smallest and largest value of each band, and what its logarithm counts from."""
    largest = torch.finfo(torch.float32).max  # not infinity, which runtimes of exported files treat differently
    none = {name: (0.0 if name in bands.log else -largest, largest) for name in bands.names}
    clip = {**none, **bands.clip}
    return {
        "low": [clip[name][0] for name in bands.names],
        "high": [clip[name][1] for name in bands.names],
        "least": [clip[name][0] if name in bands.log else 0.0 for name in bands.names],
        "logged": [name in bands.log for name in bands.names],
    }


def _ratio(first: Tensor, second: Tensor) -> Tensor:
    """(a - b) / (a + b), 0 where the denominator is 0."""
    total = first + second
    empty = total == 0
    return ((first - second) / total.masked_fill(empty, 1)).masked_fill(empty, 0).clamp(-1, 1)
