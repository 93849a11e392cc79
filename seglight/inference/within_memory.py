"""Whole images where these fit into a stated memory, else windows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from seglight.inference.plan import plan
from seglight.inference.sliding import SlidingWindow, Source
from seglight.interfaces import Inferer
from seglight.ops.padding import round_up

STEP = 256
"""Images are planned for by this many pixels: of many sizes not each is measured anew."""


@dataclass(frozen=True)
class WithinMemory(Inferer):
    """What `plan` chooses for the size of each image; one image at a time.

    Args:
        max_memory: Bytes that this process may hold; on a GPU those of torch there.
    """

    max_memory: int

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Label maps (B, H, W) of images uint8 (B, 3, H, W)."""
        chosen = self._planned(net, (image.shape[2], image.shape[3]))
        return torch.cat([chosen.labels(net, one) for one in torch.split(image, 1)])

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images uint8 (B, 3, H, W)."""
        chosen = self._planned(net, (image.shape[2], image.shape[3]))
        return torch.cat([chosen.probabilities(net, one) for one in torch.split(image, 1)])

    def rows(self, net: nn.Module, image: Source) -> Iterator[tuple[int, Tensor]]:
        """As SlidingWindow's, with the largest window that fits."""
        chosen = self._planned(net, (image.shape[0], image.shape[1]))
        return (chosen if isinstance(chosen, SlidingWindow) else SlidingWindow()).rows(net, image)

    def _planned(self, net: nn.Module, size: tuple[int, int]) -> Inferer:
        return _planned(net, (round_up(size[0], STEP), round_up(size[1], STEP)), self.max_memory)


_planned = lru_cache(plan)
