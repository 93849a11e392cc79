"""The counts of an unfinished evaluation, as values that load weights-only."""

from typing import Any

from torch import Tensor


def evaluation_state(module: Any) -> dict[str, Any]:
    """Return the confusion matrices and losses of a SegmentationModule on this process, and its last training loss."""
    return {"confusion": module.confusion.metric_state, "losses": module.losses, "train_loss": module.train_loss}


def set_evaluation_state(module: Any, state: dict[str, Any]) -> None:
    """Restore the result of `evaluation_state`."""
    for name, value in state["confusion"].items():
        setattr(module.confusion, name, _to(value, module))
    module.losses = _to(state["losses"], module)
    module.train_loss = state["train_loss"]


def _to(value: Any, module: Any) -> Any:
    return value.to(module.device) if isinstance(value, Tensor) else [entry.to(module.device) for entry in value]
