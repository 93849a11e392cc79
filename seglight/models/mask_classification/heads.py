"""What queries and patches of a plain ViT predict: classes, and masks at a stride of four (arXiv 2503.19108)."""

import math

import torch
from torch import Tensor, nn

from seglight.models.layers import LayerNorm2d


class QueryHeads(nn.Module):
    """Class and mask heads on the queries, and patches that are doubled in size until their stride is four.

    Args:
        width: Channels of a token.
        num_classes: Number of classes C.
        patch: Side of a patch in pixels, a power of 2.

    Attributes:
        stride: Stride of the masks.
    """

    def __init__(self, width: int, num_classes: int, patch: int) -> None:
        super().__init__()
        doublings = max(1, int(math.log2(patch)) - 2)
        self.stride = patch // 2**doublings
        self.class_head = nn.Linear(width, num_classes + 1)
        self.mask_head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.upscale = nn.Sequential(*(Doubling(width) for _ in range(doublings)))

    def forward(self, queries: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, Q, C + 1) and mask logits (B, Q, 4 h, 4 w) for patches of 16 pixels.

        Args:
            queries: (B, Q, D).
            patches: (B, D, h, w).
        """
        masks = torch.einsum("bqc,bchw->bqhw", self.mask_head(queries), self.upscale(patches))
        return self.class_head(queries), masks


class Doubling(nn.Module):
    """Transposed convolution of stride 2, GELU, depthwise 3x3 convolution, norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(width, width, 2, 2)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.norm = LayerNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) to (B, D, 2 * h, 2 * w)."""
        y: Tensor = self.norm(self.conv2(self.act(self.conv1(x))))
        return y
