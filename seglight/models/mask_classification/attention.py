"""Self-attention of timm's plain transformers, in which learned queries may be kept to some of the patches."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.attention import Attention, AttentionRope
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.beit import Attention as BeitAttention
from timm.models.beit import gen_relative_position_index
from timm.models.eva import EvaAttention
from torch import Tensor

KINDS = (Attention, AttentionRope, BeitAttention, EvaAttention)
"""Attention layers of timm that `attend` computes."""


def attend(
    attention: Any,
    x: Tensor,
    start: int,
    grid: tuple[int, int],
    rope: Tensor | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """What an attention layer of timm gives, for images of any size and with a mask for the queries.

    Only the rows of the queries are masked: they are one product, and all other rows are another without a mask, which
    fast kernels compute. Together they equal one product with a mask for all rows.

    Args:
        attention: A layer of one of `KINDS`.
        x: Tokens (B, N, D): queries, class token and registers, then the patches.
        start: Number of tokens before the patches.
        grid: Rows and columns of patches.
        rope: Rotary embeddings of the patches as timm makes them.
        allowed: Whether a query attends to a patch, (B, Q, patches); None: all attend to all.
    """
    q, k, v = _projected(attention, x)
    if rope is not None:
        q, k = (_rotated(part, rope, start, attention.rotate_half).type_as(v) for part in (q, k))
    bias = _relative_bias(attention, start, grid) if isinstance(attention, BeitAttention) else None
    if allowed is None:
        y = F.scaled_dot_product_attention(q, k, v, bias)
    else:
        queries = allowed.shape[1]
        mask = torch.cat([allowed.new_ones(*allowed.shape[:2], start), allowed], 2).unsqueeze(1)
        rest = None
        if bias is not None:
            mask = bias[:, :, :queries].masked_fill(~mask, -torch.inf)
            rest = bias[:, :, queries:]
        masked = F.scaled_dot_product_attention(q[:, :, :queries], k, v, mask)
        y = torch.cat([masked, F.scaled_dot_product_attention(q[:, :, queries:], k, v, rest)], 2)
    y = y.transpose(1, 2).flatten(2)
    if not isinstance(attention, BeitAttention):
        y = attention.norm(y)
        if attention.gate is not None:
            y = y * attention.gate(x).sigmoid()
    out: Tensor = attention.proj(y)
    return out


def _projected(attention: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, (B, heads, N, channels) each; some models give them no bias, or none to the keys."""
    if attention.qkv is None:
        parts = [attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)]
    elif isinstance(attention, BeitAttention | EvaAttention) and attention.q_bias is not None:
        biases: list[Any] = [attention.q_bias, attention.k_bias, attention.v_bias]
        parts = list(F.linear(x, attention.qkv.weight, torch.cat(biases)).chunk(3, 2))
    else:
        parts = list(attention.qkv(x).chunk(3, 2))
    channels = parts[0].shape[2] // attention.num_heads
    q, k, v = (part.unflatten(2, (-1, channels)).transpose(1, 2) for part in parts)
    if not isinstance(attention, BeitAttention):
        q, k = attention.q_norm(q), attention.k_norm(k)
    groups = q.shape[1] // k.shape[1]
    if groups > 1:  # a key serves several queries
        k, v = (part.repeat_interleave(groups, 1) for part in (k, v))
    return q, k, v


def _rotated(x: Tensor, rope: Tensor, start: int, half: bool) -> Tensor:
    return torch.cat([x[:, :, :start], apply_rot_embed_cat(x[:, :, start:], rope, half=half)], 2)


def _relative_bias(attention: BeitAttention, start: int, grid: tuple[int, int]) -> Tensor | None:
    """BEiT's bias by the distance of two patches, (1, heads, N, N), resized to another grid; 0 for the queries."""
    table = attention.relative_position_bias_table
    if table is None:
        return None
    own, size = ([2 * side - 1 for side in sides] for sides in (attention.window_size, grid))
    patches, class_token = table[:-3], table[-3:]
    if own != size:
        maps = patches.T.reshape(1, -1, *own)
        maps = F.interpolate(maps, size, mode="bicubic", align_corners=True)  # the longest distance stays the longest
        patches = maps.flatten(2)[0].T
    index = gen_relative_position_index(grid, device=table.device)
    bias = torch.cat([patches, class_token])[index.flatten()].view(*index.shape, -1).permute(2, 0, 1)
    queries = start - 1
    return F.pad(bias, (queries, 0, queries, 0)).unsqueeze(0)
