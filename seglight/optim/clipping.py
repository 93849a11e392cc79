"""Gradient clipping of fused optimizers in mixed precision, which Lightning refuses."""

from typing import Any

from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer


def clip_fused(precision: Any, optimizer: Optimizer, value: float | None, algorithm: str | None) -> bool:
    """Clip the gradients of a fused optimizer in mixed precision.

    Lightning refuses, because a fused optimizer undoes the scale of float16 within its step; bfloat16 has no scale, and
    torch's scaler can undo it before.

    Args:
        precision: Precision plugin of the trainer.
        optimizer: Optimizer whose gradients are clipped, in place.
        value: Bound of the norm or of each value; None and 0 for no clipping.
        algorithm: Kind of clipping, "norm" (also None) or "value".

    Returns:
        Whether the optimizer is fused, the precision mixed and a bound given; otherwise nothing is done.
    """
    if not (value and isinstance(precision, MixedPrecision) and optimizer.defaults.get("fused")):
        return False
    if precision.scaler is not None:
        precision.scaler.unscale_(optimizer)
    Precision.clip_gradients(precision, optimizer, value, GradClipAlgorithmType(algorithm or "norm"))
    return True
