"""Points of a map: random ones as a function of a seed, bilinear samples, and the gradient of these samples.

Kirillov et al., PointRend: Image Segmentation as Rendering (CVPR 2020), section 3.1.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FIXED_POINT = 2.0**40
"""The largest addend of a gradient as an integer: 2 ** 22 of them fit into 63 bits."""


class ImagePoints(NamedTuple):
    """Points (x, y) of one image, each from 0 to 1, that all masks and all outputs of a net are sampled at.

    Attributes:
        matching: (K, 2) points at which queries are matched with masks.
        candidates: (R, 2) points of which each mask takes the most uncertain ones.
        uniform: (U, 2) points that each mask takes.
    """

    matching: Tensor
    candidates: Tensor
    uniform: Tensor


class Corners(NamedTuple):
    """The four pixels around each of P points, for bilinear interpolation.

    Attributes:
        cells: int64 (4, P) index of the pixel in the flattened map; that of another pixel where it is outside.
        weights: float32 (4, P) weight of the pixel; 0 where it is outside.
    """

    cells: Tensor
    weights: Tensor


def random_points(key: tuple[int, ...], counts: tuple[int, int, int], device: torch.device) -> ImagePoints:
    """Draw the points of one image from a uniform distribution.

    Args:
        key: What they are a function of, numbers from 0: (seed, step, image). Devices of different kinds have different
            generators.
        counts: Numbers of points: K, R and U.
        device: Device of the points.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    generator = torch.Generator(device).manual_seed(seed)
    return ImagePoints(*torch.split(torch.rand(sum(counts), 2, generator=generator, device=device), list(counts)))


def corners(points: Tensor, size: tuple[int, int]) -> Corners:
    """The pixels around points, and their weights: those of `grid_sample` without aligned corners, zeros outside.

    Args:
        points: (P, 2) as in `ImagePoints`.
        size: Height and width of the map.
    """
    height, width = size
    place = points * points.new_tensor((width, height)) - 0.5
    low = place.floor()
    x, y = (place - low).unbind(1)
    column, row = low.long().unbind(1)
    cells, weights = [], []
    for dy, by_row in ((0, 1 - y), (1, y)):
        for dx, by_column in ((0, 1 - x), (1, x)):
            r, c = row + dy, column + dx
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            cells.append(r.clamp(0, height - 1) * width + c.clamp(0, width - 1))
            weights.append(by_row * by_column * inside)
    return Corners(torch.stack(cells), torch.stack(weights))


def samples(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples, float32 (M, P), of maps (M, h, w) at points (P, 2); zeros outside."""
    grid = (2 * points - 1).view(1, 1, -1, 2)
    return F.grid_sample(maps.float().unsqueeze(0), grid, mode="bilinear", align_corners=False)[0, :, 0]


def samples_backward(gradient: Tensor, around: Corners, chosen: Tensor, size: tuple[int, int]) -> Tensor:
    """Gradient by maps, float32 (M, h, w), from the gradient by their samples, the same in each run on any device.

    The addends of a pixel are summed as integers, because floating-point sums depend on an order that a GPU does not
    keep. The rounding is 2 ** -40 of the largest addend.

    Args:
        gradient: (M, K) by K samples of each map.
        around: Corners of P points.
        chosen: int64 (M, K) which of the P points the samples of each map are.
        size: Height and width of the maps.
    """
    scale = FIXED_POINT / gradient.abs().amax().double().clamp(min=torch.finfo(torch.float32).tiny)
    total = torch.zeros((len(gradient), size[0] * size[1]), dtype=torch.int64, device=gradient.device)
    for cells, weights in zip(*around, strict=True):
        addends = (gradient * weights[chosen]).double().mul_(scale).round_().long()
        total.scatter_add_(1, cells[chosen], addends)
    return (total / scale).float().view(-1, *size)
