"""MiT, the encoder of SegFormer: overlapping patches, reduced attention, no position codes (arXiv 2105.15203)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from timm.layers.drop import DropPath
from torch import Tensor, nn

from seglight.models.encoders.normalized import NormalizedEncoder
from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD
from seglight.models.weights.segformer import SEGFORMER
from seglight.models.weights.state import fill_encoder

Variant = Literal["b0", "b1", "b2", "b3", "b4", "b5"]

VARIANTS: dict[Variant, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "b0": ((32, 64, 160, 256), (2, 2, 2, 2)),
    "b1": ((64, 128, 320, 512), (2, 2, 2, 2)),
    "b2": ((64, 128, 320, 512), (3, 4, 6, 3)),
    "b3": ((64, 128, 320, 512), (3, 4, 18, 3)),
    "b4": ((64, 128, 320, 512), (3, 8, 27, 3)),
    "b5": ((64, 128, 320, 512), (3, 6, 40, 3)),
}
"""Channels and blocks of the four stages (table 6)."""

HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)


class MixTransformer(NormalizedEncoder):
    """Features of strides 4, 8, 16 and 32.

    Args:
        variant: "b0" to "b5" (table 6).
        weights: A file of transformers' SegFormer, with or without its segmentation head; None: untrained.
        drop_path: Stochastic depth rate of the last block; it rises linearly from 0 at the first.
        in_channels: Channels of the image.

    Raises:
        UserError: The weights are not available or do not fit.
    """

    def __init__(
        self, variant: Variant = "b0", weights: str | None = None, drop_path: float = 0.1, in_channels: int = 3
    ) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD, in_channels)
        channels, depths = VARIANTS[variant]
        rates = iter(torch.linspace(0, drop_path, sum(depths)).tolist())
        self.stages = nn.ModuleList()
        below = in_channels
        for k, (width, depth) in enumerate(zip(channels, depths, strict=True)):
            blocks = [Block(width, HEADS[k], REDUCTIONS[k], next(rates)) for _ in range(depth)]
            self.stages.append(Stage(below, width, 3 if k else 7, 2 if k else 4, blocks))
            below = width
        self.out_channels = list(channels)
        self.strides = [4, 8, 16, 32]
        self.apply(_init)
        if weights is not None:
            fill_encoder(self, SEGFORMER, weights)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (B, bands, H, W) to features (B, C, H / stride, W / stride), fine to coarse; sizes are rounded up."""
        x = self.normalized(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Stage(nn.Module):
    """Overlapping patches (section 3.1), blocks, a norm."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, blocks: list["Block"]) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, channels, kernel_size, stride, kernel_size // 2)
        self.embed_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        x = self.embed(x)
        size = (x.shape[-2], x.shape[-1])
        tokens = self.embed_norm(x.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = block(tokens, size)
        return _map(self.norm(tokens), size)


class Block(nn.Module):
    """Attention to a reduced sequence (equation 2), then Mix-FFN (equation 3)."""

    def __init__(self, channels: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads, reduction)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)
        self.mix = nn.Conv2d(4 * channels, 4 * channels, 3, padding=1, groups=4 * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, h * w, channels) to the same."""
        x = x + self.drop_path(self.attention(self.norm1(x), size))
        hidden = self.mix(_map(self.fc1(self.norm2(x)), size)).flatten(2).transpose(1, 2)
        mixed: Tensor = x + self.drop_path(self.fc2(F.gelu(hidden)))
        return mixed


class Attention(nn.Module):
    """All pixels look at patches of `reduction` x `reduction` (section 3.1)."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(channels, channels)
        self.reduce = nn.Conv2d(channels, channels, reduction, reduction) if reduction > 1 else None
        self.reduce_norm = nn.LayerNorm(channels) if reduction > 1 else None

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, h * w, channels) to the same."""
        seen = x
        if self.reduce is not None and self.reduce_norm is not None:
            seen = self.reduce_norm(self.reduce(_map(x, size)).flatten(2).transpose(1, 2))
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = self.key_value(seen).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.project(attended.transpose(1, 2).flatten(2))
        return projected


def _map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    return tokens.transpose(1, 2).view(len(tokens), -1, *size)


def _init(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.Conv2d):
        fan_out = layer.out_channels * math.prod(layer.kernel_size) // layer.groups
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # all here have one
