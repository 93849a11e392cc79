"""Multi-scale deformable attention in plain torch (Deformable DETR, arXiv 2010.04159, section 4.1)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]


class DeformableAttention(nn.Module):
    """Each place reads a few points of each level, around its own place there, whose offsets and weights it predicts.

    Args:
        width: Channels of a place.
        heads: Number of heads.
        levels: Number of levels.
        points: Points that each head reads from each level.
    """

    def __init__(self, width: int, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.levels = levels
        self.points = points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        self._init()

    def forward(self, x: Tensor, positions: Tensor, sizes: Sequence[Size]) -> Tensor:
        """Places (B, N, D) to the same.

        Args:
            x: The places of all levels, one level after the other, row by row.
            positions: Their position embeddings, (1, N, D).
            sizes: Height and width of each level.
        """
        batch, count, width = x.shape
        values = self.value(x).view(batch, count, self.heads, width // self.heads)
        queries = x + positions
        weights = self.weights(queries).view(batch, count, self.heads, -1).softmax(3)
        weights = weights.view(batch, count, self.heads, self.levels, self.points)
        offsets = self.offsets(queries).view(batch, count, self.heads, self.levels, self.points, 2)
        places = centres(sizes, x.device)[None, :, None, None].to(offsets.dtype)
        read = values.new_zeros(batch * self.heads, width // self.heads, count)
        levels = torch.split(values, [height * columns for height, columns in sizes], 1)
        for level, ((height, columns), value) in enumerate(zip(sizes, levels, strict=True)):
            at = places + offsets[:, :, :, level] / offsets.new_tensor([columns, height])
            grid = (2 * at - 1).transpose(1, 2).flatten(0, 1)
            maps = value.permute(0, 2, 3, 1).reshape(batch * self.heads, -1, height, columns)
            found = sampled(maps, grid)
            read = read + (found * weights[:, :, :, level].transpose(1, 2).flatten(0, 1).unsqueeze(1)).sum(3)
        out: Tensor = self.project(read.reshape(batch, width, count).transpose(1, 2))
        return out

    def _init(self) -> None:
        """Heads look in directions all around, their points ever further away, all with the same weight."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], 1)
        directions = directions / directions.abs().amax(1, keepdim=True)
        steps = torch.arange(1, self.points + 1)
        offsets = directions[:, None, None] * steps[None, None, :, None]
        with torch.no_grad():
            self.offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())
        for zeroed in (self.offsets.weight, self.weights.weight, self.weights.bias, self.value.bias, self.project.bias):
            nn.init.zeros_(zeroed)
        nn.init.xavier_uniform_(self.value.weight)
        nn.init.xavier_uniform_(self.project.weight)


def centres(sizes: Sequence[Size], device: torch.device) -> Tensor:
    """The centres of the pixels of all levels, (N, 2) as x and y from 0 to 1."""
    every = []
    for height, width in sizes:
        y, x = ((torch.arange(side, device=device) + 0.5) / side for side in (height, width))
        every.append(torch.stack([x.expand(height, width), y[:, None].expand(height, width)], 2).flatten(0, 1))
    return torch.cat(every)


def sampled(maps: Tensor, grid: Tensor) -> Tensor:
    """Values of maps (B, C, H, W) at points (B, N, P, 2) from -1 to 1, by bilinear interpolation: (B, C, N, P).

    Outside of a map there are zeros. With deterministic algorithms on a GPU the corners are read by index: the
    gradient of torch's operator adds up in any order.
    """
    if not (maps.is_cuda and torch.are_deterministic_algorithms_enabled()):
        return F.grid_sample(maps, grid, padding_mode="zeros", align_corners=False)
    return by_corners(maps, grid)


def by_corners(maps: Tensor, grid: Tensor) -> Tensor:
    """What `sampled` gives, from the four pixels around each point."""
    batch, _, height, width = maps.shape
    x, y = ((grid[..., axis] + 1) * side / 2 - 0.5 for axis, side in enumerate((width, height)))
    left, top = x.floor(), y.floor()
    pixels = maps.permute(0, 2, 3, 1).reshape(batch * height * width, -1)
    first = (torch.arange(batch, device=maps.device) * height * width).view(-1, 1, 1)
    total = maps.new_zeros(*grid.shape[:3], maps.shape[1])
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        index = first + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
        total = total + pixels[index] * (weight * inside).unsqueeze(3)
    return total.permute(0, 3, 1, 2)
