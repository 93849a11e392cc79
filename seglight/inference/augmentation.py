"""Test-time augmentation: the mean of the probabilities of several views of an image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer
from seglight.ops.blending import first_largest


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
        """Label maps (B, H, W) of images uint8 (B, 3, H, W)."""
        labels = [first_largest(one.flatten(1)) for one in self.probabilities(net, image)]
        return torch.stack(labels).view(-1, *image.shape[-2:])

    @torch.no_grad()
    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images uint8 (B, 3, H, W)."""
        mean: Tensor | None = None
        views = len(self.scales) * (2 if self.flip else 1)
        for view, mirrored in self._views(image):
            found = self.inferer.probabilities(net, view)
            found = F.interpolate(found, image.shape[-2:], mode="bilinear", align_corners=False).div_(views)
            found = found.flip(-1) if mirrored else found
            mean = found if mean is None else mean.add_(found)
        assert mean is not None
        return mean

    def _views(self, image: Tensor) -> Iterator[tuple[Tensor, bool]]:
        for scale in self.scales:
            view = _scaled(image, scale)
            yield view, False
            if self.flip:
                yield view.flip(-1), True


def _scaled(image: Tensor, scale: float) -> Tensor:
    """Images uint8 (B, 3, H, W) of another size, antialiased where it is smaller."""
    size = [max(1, round(scale * length)) for length in image.shape[-2:]]
    if size == list(image.shape[-2:]):
        return image
    resized = F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)
