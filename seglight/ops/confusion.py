"""The integer confusion matrix: the only source of every score."""

import torch
from torch import Tensor


def confusion_matrix(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count pixels by true and predicted class: exact, the same at any order of work, and without a wait for the GPU.

    Args:
        pred: Class index, any shape and any of uint8, int16, int32, int64.
        mask: Class index or ignore_index, the shape of `pred`, any of these dtypes.
        num_classes: C.
        ignore_index: Pixels whose mask has this value are left out.

    Returns:
        int64 (C, C); rows target, columns prediction.
    """
    if not -256 <= ignore_index < 256:  # a row for each value up to there would be too many
        mask = torch.where(mask == ignore_index, -1, mask)
        ignore_index = -1
    # ignored pixels get rows of their own, which are dropped: cheaper than to look at each pixel
    above = max(0, -ignore_index)
    rows = max(num_classes, ignore_index + 1) + above
    dtype = torch.int16 if rows * num_classes <= 2**15 else torch.int32
    cell = torch.add(pred.to(dtype), mask.to(dtype), alpha=num_classes).flatten()
    if above:
        cell += above * num_classes
    counts = (_count_by_sort if cell.is_cuda else torch.bincount)(cell, minlength=rows * num_classes)
    matrix = counts[: rows * num_classes].view(rows, num_classes)[above : above + num_classes]
    if 0 <= ignore_index < num_classes:
        matrix[ignore_index] = 0
    return matrix.clone()


def _count_by_sort(cell: Tensor, minlength: int) -> Tensor:
    """What torch.bincount gives, which on CUDA waits for the device; nothing here adds in no fixed order either."""
    bounds = torch.arange(minlength + 1, device=cell.device, dtype=cell.dtype)
    return torch.searchsorted(cell.sort().values, bounds).diff()
