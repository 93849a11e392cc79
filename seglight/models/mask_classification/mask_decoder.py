"""Mask2Former's transformer decoder: queries attend to where their masks are (arXiv 2112.01527, section 3.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.interfaces import MaskOutput
from seglight.models.mask_classification.pixel_decoder import LEVELS, sine_positions


class MaskDecoder(nn.Module):
    """Layers of masked cross-attention, self-attention and perceptron; the levels take turns, from the coarsest.

    Args:
        num_classes: Number of classes C.
        width: Channels of queries and maps.
        num_queries: Number of queries Q.
        layers: Number of layers.
        hidden: Channels between the two linear maps of a layer.
    """

    def __init__(self, num_classes: int, width: int, num_queries: int, layers: int, hidden: int = 2048) -> None:
        super().__init__()
        self.queries = nn.Embedding(num_queries, width)
        self.query_positions = nn.Embedding(num_queries, width)
        self.level_embed = nn.Embedding(LEVELS, width)
        self.layers = nn.ModuleList(QueryLayer(width, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, num_classes + 1)
        self.mask_head = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )

    def forward(self, masks: Tensor, levels: Sequence[Tensor]) -> list[MaskOutput]:
        """What the learned queries predict, and what they predict after each layer.

        Args:
            masks: Map of the masks, (B, width, h, w).
            levels: Maps that the queries attend to, coarse to fine, (B, width, h', w').
        """
        values = [
            level.flatten(2).transpose(1, 2) + embed
            for level, embed in zip(levels, self.level_embed.weight, strict=True)
        ]
        keys = [value + sine_positions(level) for value, level in zip(values, levels, strict=True)]
        positions = self.query_positions.weight
        x = self.queries.weight.expand(len(masks), -1, -1)
        outputs = [self._predicted(x, masks)]
        for index, layer in enumerate(self.layers):
            level = index % LEVELS
            allowed = attended(outputs[-1].mask_logits, levels[level])
            x = layer(x, positions, keys[level], values[level], allowed)
            outputs.append(self._predicted(x, masks))
        return outputs

    def _predicted(self, x: Tensor, masks: Tensor) -> MaskOutput:
        x = self.norm(x)
        return MaskOutput(self.class_head(x), torch.einsum("bqc,bchw->bqhw", self.mask_head(x), masks))


class QueryLayer(nn.Module):
    """Masked attention to a level, attention among the queries, a perceptron, each followed by sum and norm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.cross = HeadAttention(width)
        self.norm1 = nn.LayerNorm(width)
        self.own = HeadAttention(width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.norm3 = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, positions: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
        """Queries (B, Q, width) to the same.

        Args:
            x: Queries.
            positions: Their learned positions, (Q, width).
            keys: Places of the level with their positions, (B, N, width).
            values: Places of the level, (B, N, width).
            allowed: Whether a query attends to a place, (B, Q, N).
        """
        x = self.norm1(x + self.cross(x + positions, keys, values, allowed.unsqueeze(1)))
        here = x + positions
        x = self.norm2(x + self.own(here, here, x))
        y: Tensor = self.norm3(x + self.fc2(F.relu(self.fc1(x))))
        return y


class HeadAttention(nn.Module):
    """Attention of eight heads (arXiv 1706.03762, section 3.2.2)."""

    def __init__(self, width: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None) -> Tensor:
        """(B, Q, width), (B, N, width) and (B, N, width) to (B, Q, width); `allowed` (B, 1, Q, N) is a mask."""
        q, k, v = (
            part.view(*part.shape[:2], self.heads, -1).transpose(1, 2)
            for part in (self.query(queries), self.key(keys), self.value(values))
        )
        y = F.scaled_dot_product_attention(q, k, v, allowed)
        out: Tensor = self.project(y.transpose(1, 2).flatten(2))
        return out


def attended(mask_logits: Tensor, level: Tensor) -> Tensor:
    """Whether a query attends to a place of a level, (B, Q, N): where its mask is; everywhere if that is nowhere."""
    size = level.shape[-2:]
    inside = F.interpolate(mask_logits.detach(), size, mode="bilinear", align_corners=False).flatten(2) >= 0
    return inside | ~inside.any(2, keepdim=True)
