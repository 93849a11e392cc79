"""The integer confusion matrix: the only source of all scores."""

import torch
from torch import Tensor


def confusion_matrix(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count pixels by true and predicted class: exactly, in any order, and without waiting for a GPU.

    Args:
        pred: Predicted class index, any shape and any of uint8, int16, int32, int64; where the mask is ignored it may
            also be ignore_index, or any uint8.
        mask: True class index or ignore_index, the shape of `pred`, any of these dtypes. Larger labels are not counted.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Returns:
        int64 (C, C); rows are true classes, columns predicted ones.
    """
    if not num_classes <= ignore_index < 256:
        mask = mask.to(torch.int32)  # -1 would be 255 beside bytes
        mask = torch.where(mask == ignore_index, num_classes + 1, mask)
        ignore_index = num_classes + 1
    # ignored pixels are counted in the last of the rows, which is dropped: cheaper than selecting the others
    bins = (ignore_index + 1) * num_classes
    # neighbouring pixels mostly belong to the same cell, and a processor waits for one increment before the next of the
    # same counter: pixels of four adjacent columns have counters of their own
    lanes = 1 if pred.is_cuda else 4
    dtype = torch.int32
    if pred.dtype == mask.dtype == torch.uint8 and 256 * (num_classes + 1) <= 2**15:  # for any value of the labels
        dtype, lanes = torch.int16, lanes if 256 * lanes * (num_classes + 1) <= 2**15 else 1
    cell = torch.add(lanes * pred.to(dtype), mask.to(dtype), alpha=lanes * num_classes)
    if lanes > 1:
        cell += (torch.arange(pred.shape[-1]) % lanes).to(dtype)
    count = _count_by_sort if pred.is_cuda else torch.bincount
    counts = count(cell.flatten(), minlength=lanes * bins)[: lanes * num_classes**2]
    return counts.view(num_classes, num_classes, lanes).sum(-1)


def _count_by_sort(cell: Tensor, minlength: int) -> Tensor:
    """The result of torch.bincount, which waits for the device on CUDA; deterministic as well."""
    bounds = torch.arange(minlength + 1, device=cell.device, dtype=cell.dtype)
    return torch.searchsorted(cell.sort().values, bounds).diff()
