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
    counts = _count(pred, mask, num_classes, above, rows * num_classes)
    matrix = counts.view(rows, num_classes)[above : above + num_classes]
    if 0 <= ignore_index < num_classes:
        matrix[ignore_index] = 0
    return matrix.clone()


def _count(pred: Tensor, mask: Tensor, num_classes: int, above: int, bins: int) -> Tensor:
    """How many pixels fall into each of `bins` cells (mask + above) * C + pred: int64 (bins,)."""
    # neighbours mostly fall into the same cell, and a processor waits for one increment before the next of the same
    # counter: pixels of four columns side by side have counters of their own
    lanes = 4 if not pred.is_cuda and 4 * bins <= 2**15 else 1
    dtype = torch.int16 if lanes * bins <= 2**15 else torch.int32
    cell = torch.add(pred.to(dtype), mask.to(dtype), alpha=num_classes)
    offset = torch.arange(pred.shape[-1], device=pred.device) % lanes * bins + above * num_classes
    cell += offset.to(dtype)
    count = _count_by_sort if pred.is_cuda else torch.bincount
    return count(cell.flatten(), minlength=lanes * bins)[: lanes * bins].view(lanes, bins).sum(0)


def _count_by_sort(cell: Tensor, minlength: int) -> Tensor:
    """What torch.bincount gives, which on CUDA waits for the device; nothing here adds in no fixed order either."""
    bounds = torch.arange(minlength + 1, device=cell.device, dtype=cell.dtype)
    return torch.searchsorted(cell.sort().values, bounds).diff()
