"""Whole images if they fit into a memory limit, else windows."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from seglight.images.types import Windows
from seglight.inference.plan import plan
from seglight.inference.sliding import SlidingWindow
from seglight.interfaces import Inferer
from seglight.ops.sizes import round_up

STEP = 256
"""Sizes are rounded up to multiples of this many pixels, so that not every size is measured."""

Chosen = dict[tuple[nn.Module, int, int, bool, bool], Inferer]


@dataclass(frozen=True)
class WithinMemory(Inferer):
    """The inferer that `plan` chooses for the size of each image; one image at a time.

    Args:
        max_memory: Bytes that this process may hold; on a GPU those of torch.
    """

    max_memory: int
    takes_batches = False
    _chosen: Chosen = field(default_factory=dict, init=False, repr=False, compare=False)

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Label maps (B, H, W) of images (B, bands, H, W)."""
        chosen = self._planned(net, (image.shape[2], image.shape[3]))
        return torch.cat([chosen.labels(net, one) for one in torch.split(image, 1)])

    def label_bands(self, net: nn.Module, image: Tensor) -> Iterator[Tensor]:
        """As those of the inferer that is chosen for the image."""
        return self._planned(net, (image.shape[2], image.shape[3])).label_bands(net, image)

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images (B, bands, H, W)."""
        chosen = self._planned(net, (image.shape[2], image.shape[3]), probabilities=True)
        return torch.cat([chosen.probabilities(net, one) for one in torch.split(image, 1)])

    def tempered_probabilities(self, net: nn.Module, image: Tensor, temperature: float) -> Tensor:
        """As `probabilities`, at a temperature."""
        chosen = self._planned(net, (image.shape[2], image.shape[3]), probabilities=True)
        return torch.cat([chosen.tempered_probabilities(net, one, temperature) for one in torch.split(image, 1)])

    def rows(self, net: nn.Module, image: Windows) -> Iterator[tuple[int, Tensor]]:
        """As `SlidingWindow.rows`, with the largest window that fits; at once if the whole image fits."""
        chosen = self._planned(net, (image.shape[0], image.shape[1]), by_windows=True)
        if isinstance(chosen, SlidingWindow):
            return chosen.rows(net, image)
        return _whole(chosen, net, image)

    def _planned(
        self, net: nn.Module, size: tuple[int, int], probabilities: bool = False, by_windows: bool = False
    ) -> Inferer:
        height, width = (round_up(length, STEP) for length in size)
        case = net, height, width, probabilities, by_windows
        if case not in self._chosen:
            self._chosen[case] = plan(net, (height, width), self.max_memory, probabilities, by_windows)
        return self._chosen[case]


@torch.no_grad()
def _whole(inferer: Inferer, net: nn.Module, image: Windows) -> Iterator[tuple[int, Tensor]]:
    """Labels of an image that is read by windows and then held as a whole."""
    height, width = image.shape[:2]
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    pixels: Tensor | None = None
    for top in range(0, height, STEP):
        read = image.read(slice(top, min(top + STEP, height)), slice(0, width))
        if pixels is None:
            pixels = torch.empty((1, read.shape[2], height, width), dtype=torch.from_numpy(read[:0]).dtype)
        pixels[0, :, top : top + STEP] = torch.from_numpy(read).permute(2, 0, 1)
    assert pixels is not None
    yield 0, inferer.labels(net, pixels.to(device))[0]
