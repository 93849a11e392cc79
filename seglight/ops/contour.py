"""Contours of label maps: pixels near another class, and pixels near another map's contour."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def near_other_class(labels: Tensor, num_classes: int, radius: int) -> Tensor:
    """Find pixels with a pixel of another class at most `radius` rows and columns away (Chebyshev distance).

    All classes at once: a window is of one class only if its largest and its smallest label are those of its centre.

    Args:
        labels: int16 (B, H, W), class index, or -1 for no class, which is not another class to its neighbours.
        num_classes: Number of classes C.
        radius: Distance in pixels; beyond the border there is no class.

    Returns:
        bool (B, H, W); undefined where the label is -1.
    """
    turned = torch.where(labels < 0, labels, num_classes - 1 - labels)  # their largest is the smallest label
    return (_window_max(labels, radius) != labels) | (_window_max(turned, radius) != turned)


def near_same_class(labels: Tensor, others: Tensor, num_classes: int, radius: int) -> tuple[Tensor, Tensor]:
    """Find out for each labelled pixel whether another map has a pixel of the same class within a disk.

    The other map's pixels are sorted by row, class and column; a row of the disk is then one binary search, for the
    pixels that have no match in a nearer row.

    Args:
        labels: int16 (B, H, W), class index on few pixels, -1 elsewhere.
        others: int16 (B, H, W), class index on few pixels, -1 elsewhere.
        num_classes: Number of classes C.
        radius: Radius of the disk, in pixels (Euclidean distance).

    Returns:
        The class of each labelled pixel (n,), and bool (n,).
    """
    label, key = _by_class(labels, num_classes, radius)
    there = _by_class(others, num_classes, radius)[1].sort().values
    there = torch.cat([there, there.new_full((1,), torch.iinfo(torch.int64).max)])
    found = torch.zeros_like(label, dtype=torch.bool)
    rest = torch.arange(len(label), device=label.device)
    for row in sorted(range(-radius, radius + 1), key=abs):
        reach = math.isqrt(radius * radius - row * row)
        middle = key[rest] + row * num_classes * (labels.shape[-1] + 2 * radius)
        near = there[torch.searchsorted(there, middle - reach)] <= middle + reach
        found[rest[near]] = True
        rest = rest[~near]
    return label, found


def _by_class(labels: Tensor, num_classes: int, margin: int) -> tuple[Tensor, Tensor]:
    """The class of each labelled pixel (n,), and a sort key (n,) int64: by row, then class, then column."""
    image, row, column = (labels >= 0).nonzero(as_tuple=True)
    label = labels[image, row, column]
    height, width = labels.shape[-2] + 2 * margin, labels.shape[-1] + 2 * margin
    return label, ((image * height + row + margin) * num_classes + label) * width + column + margin


def _window_max(values: Tensor, radius: int) -> Tensor:
    """The largest value at most `radius` rows and columns away."""
    for dim in (-2, -1):
        values = _line_max(values, radius, dim)
    return values


def _line_max(values: Tensor, radius: int, dim: int) -> Tensor:
    """The largest of `2 * radius + 1` values along a dimension, in about log2 of that many passes."""
    length = values.shape[dim]
    radius = min(radius, length)
    window = 2 * radius + 1
    padding = (0, 0, radius, radius) if dim == -2 else (radius, radius)
    values = F.pad(values, padding, value=-1)
    reach = 1  # values[i] is the largest of values[i : i + reach]
    while reach < window:
        step = min(reach, window - reach)
        rest = values.shape[dim] - step
        values = torch.maximum(values.narrow(dim, 0, rest), values.narrow(dim, step, rest))
        reach += step
    return values
