"""The integer confusion matrix: the only source of every score."""

import torch
from torch import Tensor


def confusion_matrix(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count pixels by true and predicted class.

    Args:
        pred: Integer class index, any shape.
        mask: Integer class index or ignore_index, the shape of `pred`.
        num_classes: C.
        ignore_index: Pixels whose mask has this value are left out.

    Returns:
        int64 (C, C); rows target, columns prediction.
    """
    spare = num_classes * num_classes
    cell = mask.to(torch.int32) * num_classes + pred
    cell = torch.where(mask == ignore_index, spare, cell)
    return torch.bincount(cell.flatten(), minlength=spare + 1)[:spare].reshape(num_classes, num_classes)
