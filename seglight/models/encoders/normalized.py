"""Encoders that normalise images themselves, so that training, evaluation and export can't differ."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seglight.checkpoints.net_bands import MatchingEncoder
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.models.encoders.band_inputs import TORCH_TYPES, BandInputs, statistics
from seglight.models.encoders.first_convolution import GREY, SIDE, first_convolutions, for_bands, rebuilt, values_for


class NormalizedEncoder(MatchingEncoder):
    """Base class of encoders with buffers `mean` and `std`, (1, in_channels, 1, 1) in pixel units.

    Images have values from 0 to 255. For uint8 that needs no check; the values of any other type are checked, because
    an image in [0, 1], or one that is normalised already, would silently give other features.

    For images of other bands (`use_bands`), `mean` and `std` are those of the bands in the units of the files, and the
    first convolution is rebuilt from the weights that it has, see `seglight.models.encoders.first_convolution.filters`;
    an encoder that was built with another `in_channels` than three keeps it.

    Args:
        mean: Mean of R, G, B in [0, 1], or of each channel.
        std: Standard deviation of R, G, B in [0, 1], or of each channel.
        in_channels: Channels of the image. If there are not three, mean and std of R, G, B repeat in turn, as the
            weights do; a single channel has their average.

    Attributes:
        weight_bands: Names of the bands that the weights were trained on; None: red, green and blue.
        pixels: What turns images of other bands into input channels; None for 8-bit RGB.
        first: Names of the convolutions that read images of other bands than 8-bit RGB.

    Raises:
        UserError: There are neither three nor `in_channels` values.
    """

    mean: Tensor
    std: Tensor
    weight_bands: Sequence[str] | None = None

    def __init__(self, mean: Sequence[float], std: Sequence[float], in_channels: int = 3) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.pixels: BandInputs | None = None
        self.first: tuple[str, ...] = ()
        # in pixel units, so that uint8 is read without a division
        self.register_buffer("mean", 255 * per_channel("mean", mean, in_channels))
        self.register_buffer("std", 255 * per_channel("std", std, in_channels))

    def normalized(self, image: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to floating point of mean 0 and deviation 1, in the same memory format.

        Images are uint8; of other bands they are of the type of these.

        Raises:
            UserError: The image has another number of channels, another type than its bands, or is not uint8 and has
                values of another range.
        """
        if self.pixels is not None:
            inputs: Tensor = self.pixels(image, self.mean, self.std)
            return inputs
        check_pixels(image, self.mean.shape[1])
        if image.is_contiguous() or not image.is_contiguous(memory_format=torch.channels_last):
            return image.to(self.mean.dtype, copy=True).sub_(self.mean).div_(self.std)
        # a row of pixels at a time: four times as fast as three channels at a time
        width = image.shape[-1]
        mean, std = (value.flatten().repeat(width) for value in (self.mean, self.std))
        rows = image.permute(0, 2, 3, 1).flatten(2).to(mean.dtype, copy=True).sub_(mean).div_(std)
        return rows.view(*rows.shape[:2], width, -1).permute(0, 3, 1, 2)

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation of the bands, in [0, 1]; None: those of `bands` in the units of the files."""
        if self.pixels is not None and self.pixels.bands.mean:
            return None
        return _fractions(self.mean), _fractions(self.std)

    def use_bands(self, bands: Bands) -> None:
        """Prepare for images of these bands; see the class.

        Raises:
            UserError: The encoder has another `in_channels` than three and than the bands have inputs, or its stem is
                no convolution that could be rebuilt.
        """
        if bands.is_rgb8 and self.weight_bands is None:
            return
        trained = self.weight_bands or RGB.names
        mean, std = statistics(bands)
        self.first = self._first_convolutions()
        if self.in_channels == len(trained):
            scaled = (values_for(values.flatten().tolist(), trained, bands.inputs) for values in (self.mean, self.std))
            own_mean, own_std = scaled
            self._rebuild(trained, bands)
        elif self.in_channels == len(bands.inputs):
            own_mean, own_std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        else:
            raise UserError(
                f"encoder.in_channels {self.in_channels}: the net gets {len(bands.inputs)} inputs from {bands.line()}: "
                "leave in_channels out"
            )
        device = self.mean.device
        self.mean = torch.tensor(mean or own_mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std or own_std, device=device).view(1, -1, 1, 1)
        self.in_channels = len(bands.names)
        if not bands.is_rgb8:
            self.pixels = BandInputs(bands).to(device)
        self._try(bands)

    def matched_weights(self, weights: dict[str, Tensor], trained: Bands) -> dict[str, Tensor]:
        """Weights of other bands whose first convolutions have a filter for each input of this encoder; see `rebuilt`.

        Args:
            weights: Tensors by the keys of this encoder.
            trained: What the images held that they were trained on.
        """
        bands = self.bands or RGB
        first = self._first_convolutions() if self.pixels is None else self.first
        found = dict(weights)
        for name in first:
            own = {key: weights[f"{name}.{key}"] for key in ("weight", "gain") if f"{name}.{key}" in weights}
            if "weight" in own and own["weight"].shape[1] == len(trained.inputs):
                parts = rebuilt(own, trained.inputs, bands.inputs)
                found |= {f"{name}.{key}": value for key, value in parts.items()}
        return found

    def _first_convolutions(self) -> tuple[str, ...]:
        """Names of the convolutions that read the image, found before the encoder is prepared for other bands."""
        grey = torch.full((1, self.in_channels, SIDE, SIDE), GREY, dtype=torch.uint8, device=self.mean.device)
        with evaluated(self):
            found = first_convolutions(self, grey, self.normalized(grey)[0, :, 0, 0])
        return tuple(name for name, part in self.named_modules() if part in found)

    def _rebuild(self, trained: Sequence[str], bands: Bands) -> None:
        """Rebuild the first convolutions for the inputs that `bands` give."""
        if not self.first:
            raise UserError(self._refusal(bands))
        for name in self.first:
            for_bands(self.get_submodule(name), trained, bands.inputs)  # type: ignore[arg-type]  # convolutions

    def _try(self, bands: Bands) -> None:
        """Pass one image through, to see that nothing else in the net counts on the former number of channels."""
        dtype = TORCH_TYPES[bands.type]
        image = torch.zeros(1, len(bands.names), SIDE, SIDE, dtype=dtype, device=self.mean.device)
        try:
            with evaluated(self), torch.no_grad():
                self(image)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise UserError(self._refusal(bands)) from error

    def _refusal(self, bands: Bands) -> str:
        return (
            f"{type(self).__name__} does not read {bands.line()}: its first layer is no convolution of the image that "
            f"could be rebuilt for them: take another encoder, or build it with in_channels {len(bands.inputs)}"
        )


@contextmanager
def evaluated(net: nn.Module) -> Iterator[None]:
    """Context in which a net is in evaluation mode; its parts' modes are restored afterwards."""
    modes = {part: part.training for part in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


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
