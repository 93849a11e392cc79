"""Contours of label maps: pixels near another class, and pixels near another map's contour."""

import torch
import torch.nn.functional as F
from torch import Tensor


def near_other_class(labels: Tensor, num_classes: int, radius: int) -> Tensor:
    """Pixels with a pixel of another class at most `radius` rows and columns away (Chebyshev distance).

    All classes at once: a window holds nothing but its centre's class where its largest and smallest labels are that.

    Args:
        labels: int16 (B, H, W), class index, or -1: of no class, and no other class to its neighbours.
        num_classes: C.
        radius: In pixels; what lies beyond the border is nothing.

    Returns:
        bool (B, H, W); meaningless where the label is -1.
    """
    turned = torch.where(labels < 0, labels, num_classes - 1 - labels)  # their largest is the smallest label
    return (_window_max(labels, radius) != labels) | (_window_max(turned, radius) != turned)


def near_same_class(labels: Tensor, others: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Whether each labelled pixel has a pixel of its class in another map within a disk.

    Args:
        labels: int16 (B, H, W), class index on few pixels, -1 elsewhere.
        others: int16 (B, H, W), likewise.
        radius: Of the disk, in pixels (Euclidean distance).

    Returns:
        The class of each labelled pixel (n,), and bool (n,).
    """
    padded = F.pad(others, (radius, radius, radius, radius), value=-1)
    _, height, width = padded.shape
    image, row, column = (labels >= 0).nonzero(as_tuple=True)
    label = labels[image, row, column]
    place = (image * height + row + radius) * width + column + radius
    found = torch.zeros_like(label, dtype=torch.bool)
    flat = padded.flatten()
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            if x * x + y * y <= radius * radius:
                found |= flat[place + (y * width + x)] == label
    return label, found


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
