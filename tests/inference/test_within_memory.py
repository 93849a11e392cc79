"""Images of any size within a stated memory: as they are by the inferer that is planned for their size."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seglight.inference import SlidingWindow, WholeImage
from seglight.inference.within_memory import WithinMemory
from tests.support.hungry import Hungry, held


def image(height: int, width: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture
def net() -> nn.Module:
    """300 MB for an image of 416 x 352."""
    torch.manual_seed(0)
    return Hungry(2000).eval()


def test_images_that_fit_are_seen_whole(net: nn.Module) -> None:
    inferer, images = WithinMemory(held() + int(0.5e9)), image(96, 100, 2)
    assert torch.equal(inferer.labels(net, images), WholeImage().labels(net, images))
    torch.testing.assert_close(inferer.probabilities(net, images), WholeImage().probabilities(net, images))


def test_others_by_windows_that_stay_within_it(net: nn.Module) -> None:
    inferer, large = WithinMemory(held() + int(0.25e9)), image(416, 352)
    sides = []
    net.register_forward_pre_hook(lambda module, inputs: sides.append(inputs[0].shape[-1]))
    inferer.labels(net, large)  # plans, which begins the high-water mark anew too
    high_water_mark_anew()
    before = held()
    labels = inferer.labels(net, large)
    assert peak() - before <= 0.25e9
    assert torch.equal(labels, SlidingWindow(sides[-1]).labels(net, large))
    high_water_mark_anew()
    WholeImage().labels(net, large)
    assert peak() - before > 0.26e9, "which the whole image doesn't"


def test_bands_are_those_of_the_chosen_inferer(net: nn.Module) -> None:
    inferer, large, small = WithinMemory(held() + int(0.25e9)), image(416, 352), image(96, 100)
    bands = [*inferer.label_bands(net, large)]
    assert len(bands) > 1
    assert torch.equal(torch.cat(bands), inferer.labels(net, large)[0])
    (band,) = inferer.label_bands(net, small)
    assert torch.equal(band, inferer.labels(net, small)[0])


def high_water_mark_anew() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
