"""The integer confusion matrix: the only source of all scores."""

import torch
from torch import Tensor

from seglight.ops.label_types import IGNORE_INDEX


def confusion_matrix(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count pixels by true and predicted class: exactly, in any order, and without waiting for a GPU.

    Args:
        pred: Predicted class index, any shape and any of uint8, int16, int32, int64; where the mask is ignored it may
            also be ignore_index, or any uint8 for up to 255 classes.
        mask: True class index or ignore_index, the shape of `pred`, any of these dtypes. Larger labels are not counted.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Returns:
        int64 (C, C); rows are true classes, columns predicted ones.
    """
    mask, ignore_index = _compact(mask, num_classes, ignore_index)
    # ignored pixels are counted in the last of the rows, which is dropped: cheaper than selecting the others
    bins = (ignore_index + 1) * num_classes
    # neighbouring pixels mostly belong to the same cell, and a processor waits for one increment before the next of the
    # same counter: pixels of four adjacent columns have counters of their own
    lanes = 1 if pred.is_cuda or num_classes > IGNORE_INDEX else 4
    dtype = torch.int32
    if pred.dtype == mask.dtype == torch.uint8 and 256 * (num_classes + 1) <= 2**15:  # for any value of the labels
        dtype, lanes = torch.int16, lanes if 256 * lanes * (num_classes + 1) <= 2**15 else 1
    cell = torch.add(lanes * pred.to(dtype), mask.to(dtype), alpha=lanes * num_classes)
    if lanes > 1:
        cell += (torch.arange(pred.shape[-1]) % lanes).to(dtype)
    count = _count_by_sort if pred.is_cuda else torch.bincount
    counts = count(cell.flatten(), minlength=lanes * bins)[: lanes * num_classes**2]
    return counts.view(num_classes, num_classes, lanes).sum(-1)


def confusion_cells(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Find the cells of `confusion_matrix` that are not 0: of many classes an image has few of them.

    Args:
        pred: As for `confusion_matrix`.
        mask: As for `confusion_matrix`.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Returns:
        Index target * C + prediction of each cell, ascending, and its number of pixels: both int64 (N,). The host waits
        for a GPU.
    """
    mask, ignore_index = _compact(mask, num_classes, ignore_index)
    valid = (mask != ignore_index) & (mask >= 0) & (mask < num_classes) & (pred >= 0) & (pred < num_classes)
    cell = mask[valid].long() * num_classes + pred[valid]
    cells, counts = torch.unique(cell, return_counts=True)
    return cells, counts


def _compact(mask: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, int]:
    """The mask with a small value of ignored pixels: at most 255, or the number of classes + 1; and this value."""
    if num_classes <= ignore_index <= IGNORE_INDEX:
        return mask, ignore_index
    mask = mask.to(torch.int32)  # -1 would be 255 beside bytes
    return torch.where(mask == ignore_index, num_classes + 1, mask), num_classes + 1


def _count_by_sort(cell: Tensor, minlength: int) -> Tensor:
    """The result of torch.bincount, which waits for the device on CUDA; deterministic as well."""
    bounds = torch.arange(minlength + 1, device=cell.device, dtype=cell.dtype)
    return torch.searchsorted(cell.sort().values, bounds).diff()
