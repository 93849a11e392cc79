"""Test-time augmentation: the mean of the probabilities of several views of an image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer
from seglight.models.bands import pixels_read
from seglight.models.encoders.band_inputs import missing_values
from seglight.ops.blending import first_largest
from seglight.ops.unsigned import moved


@dataclass(frozen=True)
class TestTimeAugmentation(Inferer):
    """The mean of the probabilities of an image at several scales, each as it is and mirrored.

    The probabilities of a view are resized bilinearly to the image's size before they are averaged. A temperature is
    applied to their mean, so that the label remains the most probable class. Two full-resolution maps of probabilities
    are in memory: too much for images of gigapixels.

    Args:
        inferer: How the net is applied to a view.
        scales: Factors of height and width.
        flip: Whether each view is mirrored from left to right as well.

    Raises:
        UserError: There is no scale, or one that is not finite and above 0.
    """

    __test__ = False  # its name looks like a test to pytest

    inferer: Inferer = field(default_factory=WholeImage)
    scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    flip: bool = True

    def __post_init__(self) -> None:
        there = isinstance(self.scales, Sequence) and len(self.scales) > 0
        if not there or not all(isinstance(scale, Real) and 0 < scale < math.inf for scale in self.scales):
            raise UserError(f"inferer.scales is {self.scales}: give factors above 0, such as [0.75, 1.0, 1.25]")

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Label maps (B, H, W) of images (B, bands, H, W)."""
        labels = [first_largest(one.flatten(1)) for one in self.probabilities(net, image)]
        return torch.stack(labels).view(-1, *image.shape[-2:])

    @torch.no_grad()
    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images (B, bands, H, W)."""
        mean: Tensor | None = None
        views = len(self.scales) * (2 if self.flip else 1)
        for view, mirrored in self._views(image, pixels_read(net)):
            found = self.inferer.probabilities(net, view)
            found = F.interpolate(found, image.shape[-2:], mode="bilinear", align_corners=False).div_(views)
            found = found.flip(-1) if mirrored else found
            mean = found if mean is None else mean.add_(found)
        assert mean is not None
        return mean

    def _views(self, image: Tensor, bands: Bands) -> Iterator[tuple[Tensor, bool]]:
        for scale in self.scales:
            view = _scaled(image, scale, bands)
            yield view, False
            if self.flip:
                yield moved(view, lambda pixels: pixels.flip(-1)), True


def _scaled(image: Tensor, scale: float, bands: Bands) -> Tensor:
    """Images (B, bands, H, W) of another size and of the same type, antialiased where it is smaller.

    What is no data is neither mixed with data nor becomes data: values beside it count the mean of the band instead,
    and the nearest value decides which ones are no data. Others that come to equal `nodata` take the next value.
    """
    size = [max(1, round(scale * length)) for length in image.shape[-2:]]
    if size == list(image.shape[-2:]):
        return image
    values = image.float()
    missing = missing_values(values, bands)
    if missing is not None:
        values = torch.where(missing, values.new_tensor(bands.fill).view(-1, 1, 1), values)
    resized = F.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)
    if not image.is_floating_point():
        limits = torch.iinfo(image.dtype)
        resized.round_().clamp_(limits.min, limits.max)
        if bands.nodata is not None:
            beside = bands.nodata + (1 if bands.nodata < limits.max else -1)
            resized.masked_fill_(resized == bands.nodata, beside)
    if missing is not None and bands.missing is not None:
        nearest = F.interpolate(missing.to(torch.uint8), size, mode="nearest-exact").bool()
        resized.masked_fill_(nearest, bands.missing)
    return resized.to(image.dtype)
