"""Checks that weights and logits are finite: an argmax turns NaN into labels too, which look like any others."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from seglight.errors import UserError

REMEDY = "a training that diverged leaves such weights: use an earlier checkpoint or other weights"


def nonfinite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that contain NaN or infinity.

    A tensor costs one sum. If the sum of large values overflows, such as the variances of batch norms, the values are
    checked one by one.

    Args:
        state: Tensors by name; integer tensors are always finite.
    """
    return [name for name, tensor in state.items() if tensor.is_floating_point() and not _is_finite(tensor.detach())]


def check_weights(state: Mapping[str, Tensor], source: str, constants: Iterable[str] = ()) -> None:
    """Check that weights are finite.

    Args:
        state: Tensors of a net by name.
        source: Origin of the tensors, for the message.
        constants: Names of tensors that are not checked, such as masks of -inf, which were not finite when the net was
            built.

    Raises:
        UserError: A tensor contains NaN or infinity.
    """
    allowed = set(constants)
    broken = [name for name in nonfinite(state) if name not in allowed]
    if broken:
        number = f"{len(broken)} of {len(state)} tensors of weights contain NaN or infinity, such as {broken[0]}"
        raise UserError(f"{source}: {number}: {REMEDY}")


def check_finite(logits: Tensor) -> None:
    """Check the logits of a net before they become labels or probabilities. The host waits for a GPU.

    Args:
        logits: Logits of any shape.

    Raises:
        UserError: The logits are not finite.
    """
    if torch.compiler.is_compiling() or logits.is_meta or _is_finite(logits.detach()):
        return
    count = int(logits.isfinite().logical_not_().sum())
    raise UserError(
        f"{count} of the net's {logits.numel()} logits are NaN or infinite, so there is no label map: {REMEDY}, "
        "or float32 instead of float16"
    )


def all_finite(tensor: Tensor) -> Tensor:
    """Whether a floating point tensor is finite, by its sum: a scalar bool on its device, without waiting for it."""
    return tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32)).isfinite()


def _is_finite(tensor: Tensor) -> bool:
    tensor = tensor if tensor.itemsize > 1 else tensor.float()  # torch cannot sum eight bits
    return bool(all_finite(tensor)) or bool(tensor.isfinite().all())
