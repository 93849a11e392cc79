"""torch.compile of the net."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer


class Compile(Callback):
    """Compiles the net for training, in place: a checkpoint's keys stay as they are.

    Evaluation runs the net as it is, as `validate` and `predict` do: its images differ in size, and each size would be
    compiled anew.

    Args:
        options: Arguments of torch.compile, such as `mode` and `backend`.
    """

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.options = options or {}

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Have it compiled by its first step."""
        if stage == "fit":
            pl_module.net.compile(**self.options)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the compiled net alone."""
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Go back to it."""
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """The stance belongs to the process, not to the run."""
        torch.compiler.set_stance("default")
