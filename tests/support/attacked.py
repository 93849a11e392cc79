"""A small smooth net with fixed weights, and images of which it labels most pixels right, for tests of attacks."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 4
IGNORE = 255
SIDE = 32


class SmoothNet(nn.Module):
    """Logits at stride 4. The weights are drawn by NumPy, whose random numbers are the same in all versions."""

    def __init__(self, num_classes: int = CLASSES, seed: int = 0) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 4, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 4, stride=2, padding=1)
        self.head = nn.Conv2d(8, num_classes, 1)
        generator = np.random.default_rng(seed)
        with torch.no_grad():
            for layer, scale in ((self.body, 0.3), (self.deep, 0.5), (self.head, 2.0)):
                layer.weight.copy_(torch.from_numpy(scale * generator.standard_normal(layer.weight.shape)))
                layer.bias.zero_()  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> Tensor:
        features = torch.tanh(self.body(image.to(self.head.weight.dtype) / 127.5 - 1))
        logits: Tensor = self.head(torch.tanh(self.deep(features)))
        return logits


def drawn(images: int = 3, wrong: float = 0.1, ignored: float = 0.0, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Smooth images uint8 (B, 3, side, side), and the labels of `SmoothNet`, a share of them changed or ignored."""
    generator = np.random.default_rng(7)
    coarse = torch.from_numpy(generator.uniform(0, 255, (images, 3, 6, 6)))
    image = F.interpolate(coarse, (side, side), mode="bicubic").clamp(20, 235).round().to(torch.uint8)
    with torch.no_grad():
        logits = SmoothNet().double()(image)
    mask = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False).argmax(1).to(torch.uint8)
    chance = torch.from_numpy(generator.random(mask.shape))
    mask[chance < wrong] = (mask[chance < wrong] + 1) % CLASSES
    mask[chance > 1 - ignored] = IGNORE
    return image, mask


def right(net: nn.Module, image: Tensor, mask: Tensor) -> list[int]:
    """Number of right pixels of each image, from logits of full size."""
    with torch.no_grad():
        logits = net(image)
    labels = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False).argmax(1)
    return [int(count) for count in (labels == mask).flatten(1).sum(1)]
