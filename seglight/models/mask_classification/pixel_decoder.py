"""Mask2Former's pixel decoder: deformable attention over three levels, then a finer one (arXiv 2112.01527, 3.2)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.models.layers import LayerNorm2d, resize_to
from seglight.models.mask_classification.deformable_attention import DeformableAttention, Size

LEVELS = 3
"""Levels that attend to each other; masks are predicted at the level finer than these."""


class PixelDecoder(nn.Module):
    """The encoder's last four features to three maps for the queries and one for the masks.

    Args:
        in_channels: Channels of the encoder's features, fine to coarse.
        width: Channels of the maps.
        layers: Number of layers of deformable attention.
        hidden: Channels between the two linear maps of a layer.
        norm_features: Whether each feature has a layer norm first, as in the code of Swin and ConvNeXt.

    Raises:
        UserError: There are fewer than four features, or 32 does not divide `width`.
    """

    def __init__(
        self, in_channels: Sequence[int], width: int, layers: int, hidden: int = 1024, norm_features: bool = False
    ) -> None:
        super().__init__()
        if len(in_channels) <= LEVELS:
            raise UserError(
                f"Mask2Former reads four features, of strides 4 to 32, and the encoder gives {len(in_channels)}: take "
                "an encoder with more, or a pyramid"
            )
        if width < 32 or width % 32:
            raise UserError(f"model.net.width {width}: give a multiple of 32, its norms have 32 groups")
        finest, *coarser = in_channels[-LEVELS - 1 :]
        self.norms = nn.ModuleList(LayerNorm2d(c) if norm_features else nn.Identity() for c in (finest, *coarser))
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1), nn.GroupNorm(32, width)) for channels in reversed(coarser)
        )
        self.level_embed = nn.Parameter(torch.randn(LEVELS, width))
        self.layers = nn.ModuleList(PixelLayer(width, hidden) for _ in range(layers))
        self.lateral = nn.Sequential(nn.Conv2d(finest, width, 1, bias=False), nn.GroupNorm(32, width))
        self.smooth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(32, width), nn.ReLU()
        )
        self.masks = nn.Conv2d(width, width, 1)
        for conv in [projection[0] for projection in self.projections]:  # type: ignore[index]  # sequences
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)
        for conv in (self.lateral[0], self.smooth[0]):
            nn.init.kaiming_uniform_(conv.weight, a=1)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Features, fine to coarse, to the masks' map (B, width, h, w) and the three levels, coarse to fine."""
        finest, *coarser = (norm(x) for norm, x in zip(self.norms, features[-LEVELS - 1 :], strict=True))
        maps = [projection(x) for projection, x in zip(self.projections, reversed(coarser), strict=True)]
        sizes: list[Size] = [(int(level.shape[2]), int(level.shape[3])) for level in maps]
        positions = torch.cat(
            [sine_positions(level) + embed for level, embed in zip(maps, self.level_embed[:, None, None], strict=True)],
            1,
        )
        x = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)
        for layer in self.layers:
            x = layer(x, positions, sizes)
        parts = torch.split(x, [height * width for height, width in sizes], 1)
        levels = [part.transpose(1, 2).reshape(level.shape) for part, level in zip(parts, maps, strict=True)]
        fine = self.lateral(finest)
        return self.masks(self.smooth(fine + resize_to(levels[-1], fine))), levels


class PixelLayer(nn.Module):
    """Deformable attention and a perceptron, each followed by sum and norm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(width)
        self.norm1 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, positions: Tensor, sizes: Sequence[Size]) -> Tensor:
        """Places (B, N, width) to the same; see `DeformableAttention`."""
        x = self.norm1(x + self.attention(x, positions, sizes))
        y: Tensor = self.norm2(x + self.fc2(F.relu(self.fc1(x))))
        return y


def sine_positions(level: Tensor) -> Tensor:
    """Sines and cosines of a map's rows, then of its columns (DETR, arXiv 2005.12872, appendix A.4), (1, h * w, C).

    Args:
        level: Map (B, C, h, w), of which shape, type and device matter.
    """
    half = level.shape[1] // 2
    frequencies = 10000 ** (2 * (torch.arange(half, device=level.device) // 2) / half)
    axes = []
    for side in level.shape[2:]:
        steps = torch.arange(1, side + 1, device=level.device) / (side + 1e-6) * (2 * math.pi)
        angles = steps[:, None] / frequencies
        axes.append(torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], 2).flatten(1))
    rows, columns = axes
    height, width = level.shape[2:]
    both = torch.cat([rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)], 2)
    return both.flatten(0, 1).unsqueeze(0).to(level.dtype)
