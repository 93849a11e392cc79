"""Checks of labels against the number of classes, made before a kernel would index by them.

Labels on a CPU are looked at by numpy, in one or a few passes over the mask. Labels on a GPU are not looked at where
that would make the host wait for the device; what happens there instead is said by each caller.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.errors import UserError

UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
"""Integers that torch stores and can do little else with."""

LISTED = 5
"""Values that a complaint lists."""


def check_loss_inputs(logits: Tensor, mask: Tensor, ignore_index: int) -> None:
    """Check what a loss is called with.

    Args:
        logits: (B, C, h, w), floating point.
        mask: (B, H, W), integers: class index or ignore_index.
        ignore_index: Mask value that counts for nothing.

    Raises:
        UserError: A shape or type is another one, or there are no pixels; or, on a CPU, a label is neither a class nor
            ignore_index.
    """
    check_logits(logits)
    check_shape(mask, logits)
    if mask.dtype in UNSIGNED:
        raise UserError(
            f"the mask is {_kind(mask)}: torch cannot compute losses of this type: class indices have to be uint8, "
            "int8, int16, int32 or int64, as mask.long() gives"
        )
    if 0 in (*logits.shape[1:], *mask.shape[1:]):
        raise UserError(f"the logits are {_kind(logits)} and the mask is {_kind(mask)}: there is nothing to compare")
    check_labels(mask, logits.shape[1], ignore_index)


def check_logits(logits: Tensor, num_classes: int | None = None) -> None:
    """Check that logits are floating point (B, C, h, w), and where it is given, that C is `num_classes`.

    Raises:
        UserError: They are not.
    """
    if logits.ndim != 4 or not logits.is_floating_point():
        raise UserError(f"the logits are {_kind(logits)}: they have to be floating point (B, C, h, w)")
    if num_classes not in (None, logits.shape[1]):
        raise UserError(f"the logits are of {logits.shape[1]} classes where there are {num_classes}: give num_classes")


def check_shape(mask: Tensor, logits: Tensor | None = None) -> None:
    """Check that a mask is of integers (B, H, W), as many as there are logits (B, C, h, w).

    Raises:
        UserError: It is not; says how it becomes one.
    """
    if mask.is_floating_point() or mask.is_complex():
        raise UserError(f"the mask is {_kind(mask)}: class indices have to be integers, as mask.long() gives")
    if mask.ndim != 3:
        remedy = "give one label a pixel"
        if mask.ndim == 2:
            remedy = "add the batch by mask.unsqueeze(0)"
        elif mask.ndim == 4 and mask.shape[1] == 1:
            remedy = "take the channel away by mask.squeeze(1)"
        elif mask.ndim == 4:
            remedy = "of a one-hot mask give mask.argmax(1)"
        raise UserError(f"the mask is {_kind(mask)}: it has to be (B, H, W): {remedy}")
    if logits is not None and len(mask) != len(logits):
        raise UserError(f"there are {len(mask)} masks for the logits of {len(logits)} images: give one an image")


def check_labels(mask: Tensor, num_classes: int, ignore_index: int, wait: bool = False) -> None:
    """Check the values of a mask of any shape.

    Args:
        mask: Class index or ignore_index.
        num_classes: C.
        ignore_index: Mask value that counts for nothing.
        wait: Look at a mask on a GPU too, for which the host waits.

    Raises:
        UserError: A label is neither a class nor ignore_index; says which, and on how many pixels.
    """
    if not _readable(mask, wait):
        return
    labels: NDArray[Any] = mask.cpu().numpy()
    if _within(labels, num_classes):
        return
    outside = _outside(labels, num_classes) & (labels != ignore_index)
    if outside.any():
        raise UserError(
            f"the mask holds {_listed(labels[outside])} where there are {num_classes} classes, 0 to {num_classes - 1}, "
            f"and {ignore_index} is ignored: map these values to classes or to {ignore_index}, or raise num_classes"
        )


def check_predictions(preds: Tensor, target: Tensor, num_classes: int, ignore_index: int, wait: bool = False) -> None:
    """Check predicted labels; where the target is ignored they may be anything.

    Args:
        preds: Class index, of the shape of `target`.
        target: Class index or ignore_index.
        num_classes: C.
        ignore_index: Mask value that counts for nothing.
        wait: As in `check_labels`.

    Raises:
        UserError: They have another shape, or one of them is no class.
    """
    if preds.shape != target.shape:
        raise UserError(f"the predictions are {_kind(preds)} and the mask is {_kind(target)}: give labels of its shape")
    if not _readable(preds, wait):
        return
    labels: NDArray[Any] = preds.cpu().numpy()
    if _within(labels, num_classes):
        return
    outside = _outside(labels, num_classes) & (target.cpu().numpy() != ignore_index)
    if outside.any():
        raise UserError(
            f"the predictions hold {_listed(labels[outside])} where there are {num_classes} classes, "
            f"0 to {num_classes - 1}: they are of a net for other classes, or num_classes is wrong"
        )


def _readable(labels: Tensor, wait: bool) -> bool:
    """Whether values can be looked at: not where a compiler only traces what would be done with them."""
    return not torch.compiler.is_compiling() and (labels.device.type == "cpu" or (wait and not labels.is_meta))


def _within(labels: NDArray[Any], num_classes: int) -> bool:
    """Whether all labels are classes: one pass over bytes, in which nothing is negative."""
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
