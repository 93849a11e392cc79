"""EoMT over a frozen encoder: its features are summed and read by blocks of their own (PMT, arXiv 2603.25398)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import torch
from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3
from timm.models.eva import EvaBlock
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import MaskOutput
from seglight.models.mask_classification.plain_vit import PlainViT, Positions, run_block
from seglight.models.mask_classification.query_net import QueryNet


class FrozenEoMT(QueryNet):
    """Plain Mask Transformer: blocks with queries on top of a plain ViT whose weights never change.

    Normed features of four depths each go through a batch norm, a residual perceptron and a scale by channel, and are
    summed. The blocks that read the queries with them, DINOv3's with its rotary embeddings, are masked as in `EoMT`.
    The encoder is in evaluation mode and has no gradient, so that a step costs no backward pass of it.

    Args:
        num_classes: Number of classes C.
        encoder: The plain ViT; it is frozen.
        num_queries: Number of queries Q.
        num_blocks: Number of blocks: 6 in the paper.
        features: Indices of the encoder's blocks whose outputs are read; None: four, evenly spaced up to the last.
        annealing: For each block the fractions of the run at which its masks begin to fade and are gone; None: one
            block after the other, in `num_blocks` + 2 equal phases.
        seed: Seed of the draws of queries that are not masked.

    Raises:
        UserError: The encoder is no `PlainViT`, or a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: PlainViT,
        num_queries: int = 100,
        num_blocks: int = 6,
        features: Sequence[int] | None = None,
        annealing: Sequence[tuple[float, float]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes, encoder, num_queries, num_blocks, annealing, seed)
        encoder.requires_grad_(False)
        self.features = evenly_spaced(encoder.depth) if features is None else list(features)
        if not self.features or not all(0 <= index < encoder.depth for index in self.features):
            raise UserError(
                f"model.net.features {self.features}: '{encoder.name}' has {encoder.depth} blocks, counted from 0"
            )
        heads: int = encoder.net.blocks[0].attn.num_heads
        if encoder.width % (4 * heads):
            raise UserError(f"FrozenEoMT: '{encoder.name}' has heads whose channels 4 does not divide: take another")
        self.laterals = nn.ModuleList(Lateral(encoder.width) for _ in self.features)
        self.rope: Any = RotaryEmbeddingDinoV3(encoder.width // heads, rotate_half=True)
        self.blocks = nn.ModuleList(
            EvaBlock(encoder.width, heads, init_values=1.0, rotate_half=True, norm_layer=nn.LayerNorm)
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(encoder.width)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the encoder, which stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> MaskOutput:
        """Images (B, bands, H, W) to classes and masks of the queries; auxiliary outputs while training."""
        rows = self.rows(image)
        features, positions = self.encoded(image)
        x = torch.stack([lateral(x) for lateral, x in zip(self.laterals, features, strict=True)]).sum(0)
        here = Positions(positions.grid, self.rope.get_embed(shape=list(positions.grid)))
        blocks = [partial(run_block, block, here) for block in self.blocks]
        return self.decoded(x, positions, blocks, self.norm, rows, image)

    @torch.no_grad()
    def encoded(self, image: Tensor) -> tuple[list[Tensor], Positions]:
        """Normed features (B, N, D) of the frozen encoder, and where their patches are."""
        encoder = self.encoder
        x, positions = encoder.embedded(image)
        found = {}
        for index in range(max(self.features) + 1):
            x = encoder.block(index, positions, x)
            if index in self.features:
                found[index] = encoder.normed(x)
        return [found[index] for index in self.features], positions


class Lateral(nn.Module):
    """Batch norm, residual perceptron and scale by channel of one feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.fc1 = nn.Linear(width, width // 2)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(width // 2, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D) to the same."""
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        scaled: Tensor = self.scale * (x + self.fc2(self.act(self.fc1(x))))
        return scaled


def evenly_spaced(depth: int) -> list[int]:
    """Four blocks up to the last, fewer where there are fewer."""
    count = min(4, depth)
    return [depth * (k + 1) // count - 1 for k in range(count)]
