"""Weights and logits that are not finite: an argmax makes labels of NaN too, and nobody sees what they are worth."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from seglight.errors import UserError

REMEDY = "a training that diverged leaves such a net: take an earlier checkpoint, or other weights"


def nonfinite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity; integers can't.

    A tensor costs one sum. Large values, such as the variances of batch norms, are looked at again where only their sum
    overflows.
    """
    return [name for name, tensor in state.items() if tensor.is_floating_point() and not _is_finite(tensor.detach())]


def check_weights(state: Mapping[str, Tensor], source: str, constants: Iterable[str] = ()) -> None:
    """Check that weights are finite.

    Args:
        state: The tensors of a net by name.
        source: Where they come from, for the complaint.
        constants: Names of tensors that may be anything, as those that were not finite when the net was built:
            masks of -inf are.

    Raises:
        UserError: NaN or infinity is among them; says in which tensors.
    """
    allowed = set(constants)
    broken = [name for name in nonfinite(state) if name not in allowed]
    if broken:
        number = f"{len(broken)} of {len(state)} tensors of weights hold NaN or infinity, such as {broken[0]}"
        raise UserError(f"{source}: {number}: {REMEDY}")


def check_finite(logits: Tensor) -> None:
    """Check the logits of a net, of any shape, before labels or probabilities are made of them: waits for a GPU.

    Raises:
        UserError: They are not finite.
    """
    if torch.compiler.is_compiling() or logits.is_meta or _is_finite(logits.detach()):
        return
    count = int(logits.isfinite().logical_not_().sum())
    raise UserError(
        f"{count} of the net's {logits.numel()} logits are NaN or infinite, which no label map can be made of: "
        f"{REMEDY}, or float32 where it computes in float16"
    )


def all_finite(tensor: Tensor) -> Tensor:
    """Whether a floating point tensor is finite, by its sum: a scalar bool that nobody has waited for."""
    return tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32)).isfinite()


def _is_finite(tensor: Tensor) -> bool:
    tensor = tensor if tensor.itemsize > 1 else tensor.float()  # of eight bits nothing is summed
    return bool(all_finite(tensor)) or bool(tensor.isfinite().all())
