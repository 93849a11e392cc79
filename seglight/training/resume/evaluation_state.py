"""What an evaluation that is under way has counted, as values that load weights-only."""

from typing import Any

from torch import Tensor


def evaluation_state(module: Any) -> dict[str, Any]:
    """Of a SegmentationModule: its confusion matrices and losses so far, on this process, and that of the last step."""
    return {"confusion": module.confusion.metric_state, "losses": module.losses, "train_loss": module.train_loss}


def set_evaluation_state(module: Any, state: dict[str, Any]) -> None:
    """Put back what `evaluation_state` gave."""
    for name, value in state["confusion"].items():
        setattr(module.confusion, name, _to(value, module))
    module.losses, module.train_loss = _to(state["losses"], module), state["train_loss"]


def _to(value: Any, module: Any) -> Any:
    return value.to(module.device) if isinstance(value, Tensor) else [entry.to(module.device) for entry in value]
