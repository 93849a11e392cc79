"""Every inferer at a temperature: the labels are the same, the probabilities those of logits divided by it.

The expected values are plain torch: padded image, net, upsampled logits, division, softmax.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.inference.within_memory import WithinMemory
from seglight.interfaces import Inferer
from tests.support.hungry import held

SIZE = (41, 90)


class Net(nn.Module):
    """Logits at stride 2 that see a pixel's surroundings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 5, stride=2, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = 20 * self.conv(image.float() / 255)
        return logits


def image() -> Tensor:
    return torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def upsampled(view: Tensor) -> Tensor:
    """Logits (B, C, H, W) of images."""
    height, width = view.shape[-2:]
    padded = F.pad(view.float(), (0, -width % 32, 0, -height % 32), mode="replicate")
    return F.interpolate(Net()(padded), padded.shape[-2:], mode="bilinear")[..., :height, :width]


class Doubled(Inferer):
    """An inferer of somebody else, who knows of no temperature: that of one view, of logits twice as large."""

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        return self.probabilities(net, image).argmax(1)

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        return (2 * upsampled(image)).softmax(1)


def mean_of_two_views() -> Tensor:
    mirrored = upsampled(image().flip(-1)).softmax(1).flip(-1)
    return ((upsampled(image()).softmax(1) + mirrored) / 2).log()


CASES: dict[str, tuple[Any, Any]] = {
    "whole": (WholeImage, lambda: upsampled(image())),
    "one window": (lambda: SlidingWindow(128), lambda: upsampled(image())),
    "within memory": (lambda: WithinMemory(held() + int(1e9)), lambda: upsampled(image())),
    "two views": (lambda: TestTimeAugmentation(scales=(1.0,)), mean_of_two_views),
    "somebody else's": (Doubled, lambda: 2 * upsampled(image())),
}


@pytest.mark.parametrize("temperature", [0.4, 2.5])
@pytest.mark.parametrize("kind", CASES)
def test_probabilities_are_the_softmax_of_divided_logits(kind: str, temperature: float) -> None:
    made, logits = CASES[kind]
    inferer: Inferer = made()
    found = inferer.tempered_probabilities(Net(), image(), temperature)
    torch.testing.assert_close(found, (logits() / temperature).softmax(1), rtol=1e-3, atol=1e-5)
    assert (found - inferer.probabilities(Net(), image())).abs().max() > 0.05, "it makes a difference"


def test_of_overlapping_windows_the_mean_of_the_logits_is_divided() -> None:
    """Their softmax is taken once: log-probabilities differ from these logits by a constant for each pixel."""
    inferer = SlidingWindow(32, 0.5)
    logits = inferer.probabilities(Net(), image()).double().log()
    found = inferer.tempered_probabilities(Net(), image(), 2.5)
    torch.testing.assert_close(found, (logits / 2.5).softmax(1).float(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", CASES)
def test_the_label_is_the_most_probable_class_at_any_temperature(kind: str) -> None:
    inferer: Inferer = CASES[kind][0]()
    labels = inferer.labels(Net(), image())
    for temperature in (0.4, 2.5):
        first, second = inferer.tempered_probabilities(Net(), image(), temperature).topk(2, 1).values.unbind(1)
        clear = first - second > 1e-4  # at near-ties the order of float32 sums decides
        assert clear.float().mean() > 0.99
        found = inferer.tempered_probabilities(Net(), image(), temperature).argmax(1)
        assert torch.equal(found[clear], labels.long()[clear])


def test_logits_of_the_image_s_own_size_are_not_overwritten() -> None:
    """They may belong to the net."""
    kept = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = kept.clone()

    class Constant(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return kept

    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    for inferer in (WholeImage(), SlidingWindow(32)):
        found = inferer.tempered_probabilities(Constant(), images, 3.0)
        torch.testing.assert_close(found, (before / 3).softmax(1), rtol=1e-4, atol=1e-6)
        assert torch.equal(kept, before)
