"""Checks of labels against the number of classes, made before a kernel indexes by them.

Labels on a CPU are checked by numpy, in one or a few passes over the mask. Labels on a GPU are not checked if the host
would have to wait for the device; each caller documents what happens then.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.errors import UserError

UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
"""Integer types that torch can store, but not compute with."""

LISTED = 5
"""Number of values that a message lists."""


def check_loss_inputs(logits: Tensor, mask: Tensor, ignore_index: int) -> None:
    """Check the inputs of a loss.

    Args:
        logits: (B, C, h, w), floating point.
        mask: (B, H, W), integers: class index or ignore_index.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: A shape or type does not fit, there are no pixels, or on a CPU, a label is neither a class nor
            ignore_index.
    """
    check_logits(logits)
    check_shape(mask, logits)
    if mask.dtype in UNSIGNED:
        raise UserError(
            f"the mask is {_kind(mask)}: torch cannot compute losses of this type: class indices have to be uint8, "
            "int8, int16, int32 or int64: convert the mask with mask.long()"
        )
    if 0 in (*logits.shape[1:], *mask.shape[1:]):
        raise UserError(f"the logits are {_kind(logits)} and the mask is {_kind(mask)}: there is nothing to compare")
    check_labels(mask, logits.shape[1], ignore_index)


def check_logits(logits: Tensor, num_classes: int | None = None) -> None:
    """Check the type and shape of logits.

    Args:
        logits: (B, C, h, w), floating point.
        num_classes: Number of classes C, or None for any.

    Raises:
        UserError: The logits are not floating point (B, C, h, w), or have another number of classes.
    """
    if logits.ndim != 4 or not logits.is_floating_point():
        raise UserError(f"the logits are {_kind(logits)}: they have to be floating point (B, C, h, w)")
    if num_classes not in (None, logits.shape[1]):
        raise UserError(
            f"the logits have {logits.shape[1]} classes but num_classes is {num_classes}: set it to those of the net"
        )


def check_shape(mask: Tensor, logits: Tensor | None = None) -> None:
    """Check the type and shape of a mask.

    Args:
        mask: (B, H, W), integers.
        logits: Tensor of the same batch size B, or None.

    Raises:
        UserError: The mask is not of integers (B, H, W), or has another batch size.
    """
    if mask.is_floating_point() or mask.is_complex():
        raise UserError(f"the mask is {_kind(mask)}: class indices have to be integers: convert it with mask.long()")
    if mask.ndim != 3:
        remedy = "give one label for each pixel"
        if mask.ndim == 2:
            remedy = "add the batch dimension with mask.unsqueeze(0)"
        elif mask.ndim == 4 and mask.shape[1] == 1:
            remedy = "remove the channel with mask.squeeze(1)"
        elif mask.ndim == 4:
            remedy = "convert a one-hot mask with mask.argmax(1)"
        raise UserError(f"the mask is {_kind(mask)}: it has to be (B, H, W): {remedy}")
    if logits is not None and len(mask) != len(logits):
        raise UserError(
            f"there are {len(mask)} masks for the logits of {len(logits)} images: give one mask for each image"
        )


def check_labels(mask: Tensor, num_classes: int, ignore_index: int, wait: bool = False) -> None:
    """Check the values of a mask of any shape.

    Args:
        mask: Class index or ignore_index.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        wait: Whether a mask on a GPU is checked too, for which the host waits.

    Raises:
        UserError: A label is neither a class nor ignore_index; the message lists values and numbers of pixels.
    """
    if not _readable(mask, wait):
        return
    labels: NDArray[Any] = mask.cpu().numpy()
    if _within(labels, num_classes):
        return
    outside = _outside(labels, num_classes) & (labels != ignore_index)
    if outside.any():
        raise UserError(
            f"the mask contains {_listed(labels[outside])}, but there are {num_classes} classes, 0 to "
            f"{num_classes - 1}, and {ignore_index} is ignored: map these values to classes or to {ignore_index}, or "
            "increase num_classes"
        )


def check_predictions(preds: Tensor, target: Tensor, num_classes: int, ignore_index: int, wait: bool = False) -> None:
    """Check predicted labels; where the target is ignored they may have any value.

    Args:
        preds: Class index, the shape of `target`.
        target: Class index or ignore_index.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        wait: Whether labels on a GPU are checked too, for which the host waits.

    Raises:
        UserError: The shapes differ, or a predicted label is not a class.
    """
    if preds.shape != target.shape:
        raise UserError(f"the predictions are {_kind(preds)} and the mask is {_kind(target)}: give both the same shape")
    if not _readable(preds, wait):
        return
    labels: NDArray[Any] = preds.cpu().numpy()
    if _within(labels, num_classes):
        return
    outside = _outside(labels, num_classes) & (target.cpu().numpy() != ignore_index)
    if outside.any():
        raise UserError(
            f"the predictions contain {_listed(labels[outside])}, but there are {num_classes} classes, "
            f"0 to {num_classes - 1}: the net has other classes, or num_classes is wrong"
        )


def _readable(labels: Tensor, wait: bool) -> bool:
    """Whether values can be read: not while a compiler traces the code."""
    return not torch.compiler.is_compiling() and (labels.device.type == "cpu" or (wait and not labels.is_meta))


def _within(labels: NDArray[Any], num_classes: int) -> bool:
    """Whether all labels are classes, in one pass over unsigned bytes and two over other types."""
    if not labels.size or labels.dtype == np.bool_:
        return True
    return bool(labels.max() < num_classes and (labels.dtype == np.uint8 or labels.min() >= 0))


def _outside(labels: NDArray[Any], num_classes: int) -> NDArray[np.bool_]:
    outside: NDArray[np.bool_] = labels >= num_classes
    return outside if labels.dtype == np.uint8 else outside | (labels < 0)


def _listed(labels: NDArray[Any]) -> str:
    values, counts = np.unique(labels, return_counts=True)
    listed = ", ".join(f"{value} ({count} px)" for value, count in zip(values[:LISTED], counts, strict=False))
    return f"{listed} and {len(values) - LISTED} more values" if len(values) > LISTED else listed


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
