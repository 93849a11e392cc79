"""Gradient clipping where Lightning refuses it."""

from typing import Any

from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer


def clip_fused(precision: Any, optimizer: Optimizer, value: float | None, algorithm: str | None) -> bool:
    """Clip the gradients of a fused optimizer in mixed precision; whether it was such a one.

    Lightning refuses, because a fused optimizer undoes the scale of float16 within its step; bfloat16 has none, and
    torch's scaler can undo it before.

    Args:
        precision: The trainer's precision plugin.
        optimizer: Whose gradients are clipped, in place.
        value: Bound of the norm or of each value; None and 0: nothing is clipped.
        algorithm: "norm" (None too) or "value".
    """
    if not (value and isinstance(precision, MixedPrecision) and optimizer.defaults.get("fused")):
        return False
    if precision.scaler is not None:
        precision.scaler.unscale_(optimizer)
    Precision.clip_gradients(precision, optimizer, value, GradClipAlgorithmType(algorithm or "norm"))
    return True
