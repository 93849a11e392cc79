"""A net whose memory is known."""

from pathlib import Path

import torch
from torch import Tensor, nn


class Hungry(nn.Module):
    """Holds a number of bytes for each pixel of the image."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self.head, self.each = nn.Conv2d(3, 5, 4, stride=4), each

    def forward(self, image: Tensor) -> Tensor:
        held = torch.ones(image.shape[-2] * image.shape[-1] * self.each, dtype=torch.uint8)
        logits: Tensor = self.head(image.float()) + held[0]
        return logits


def held() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))
