"""Test-time augmentation against the mean of softmaxes, view by view, in torch."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from seglight.errors import UserError
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.interfaces import Inferer


class Lopsided(nn.Module):
    """Logits at stride 2 that are other ones for a mirrored image and at another scale."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 5, stride=2, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = 10 * self.conv(image.float() / 255)
        return logits


def image(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def softmax_of(net: nn.Module, view: Tensor) -> Tensor:
    """Of the image padded by its last row and column, cut back."""
    height, width = view.shape[-2:]
    padded = F.pad(view.float(), (0, -width % 32, 0, -height % 32), mode="replicate")
    with torch.no_grad():
        full = F.interpolate(net(padded), padded.shape[-2:], mode="bilinear").softmax(1)
    return full[..., :height, :width]


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5), (2.0,)], ids=str)
@pytest.mark.parametrize("flip", [True, False])
def test_mean_of_the_views_probabilities(scales: tuple[float, ...], flip: bool) -> None:
    net, images = Lopsided(), image(40, 70)
    views = []
    for scale in scales:
        scaled = resize(images, [round(40 * scale), round(70 * scale)], antialias=True)
        for mirrored in (False, True)[: 1 + flip]:
            found = softmax_of(net, scaled.flip(-1) if mirrored else scaled)
            found = F.interpolate(found, (40, 70), mode="bilinear")
            views.append(found.flip(-1) if mirrored else found)
    expected = torch.stack(views).mean(0)
    inferer = TestTimeAugmentation(scales=scales, flip=flip)
    # torchvision rounds a resized image a little differently here and there: by one of 255
    tolerance = 1e-5 if scales == (1.0,) else 1e-2
    np.testing.assert_allclose(inferer.probabilities(net, images), expected, atol=tolerance)
    first, second = expected.topk(2, 1).values.unbind(1)
    clear = first - second > 2 * tolerance
    assert clear.float().mean() > 0.9
    assert torch.equal(inferer.labels(net, images).long()[clear], expected.argmax(1)[clear])


@pytest.mark.parametrize("inner", [WholeImage(), SlidingWindow(32, 0.5)], ids=str)
def test_one_view_is_the_inferer_itself(inner: Inferer) -> None:
    net, images = Lopsided(), image(45, 64)
    augmented = TestTimeAugmentation(inner, (1.0,), flip=False)
    torch.testing.assert_close(augmented.probabilities(net, images), inner.probabilities(net, images))
    assert (augmented.labels(net, images) == inner.labels(net, images)).float().mean() > 0.999


def test_a_symmetric_image_has_symmetric_labels() -> None:
    """Only because its views are mirrored: the net is not."""
    left = image(64, 32)
    images = torch.cat([left, left.flip(-1)], -1)
    flipped = TestTimeAugmentation(SlidingWindow(32, 0.5), (1.0,)).probabilities(Lopsided(), images)
    torch.testing.assert_close(flipped, flipped.flip(-1), rtol=0, atol=1e-5)
    plain = WholeImage().probabilities(Lopsided(), images)
    assert (plain - plain.flip(-1)).abs().max() > 0.1


@pytest.mark.parametrize(
    "scales",
    [(), (1.0, 0.0), (-1.0,), (math.nan,), (1.0, math.nan), (1.0, math.inf), 1.0, None, "12", np.ones(2)],
    ids=str,
)
def test_scales_out_of_range(scales: Any) -> None:
    with pytest.raises(UserError, match=r"inferer\.scales"):
        TestTimeAugmentation(scales=scales)
