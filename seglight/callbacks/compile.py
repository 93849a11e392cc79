"""torch.compile of the net."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from seglight.errors import UserError, one_line, say


class Compile(Callback):
    """Compiles the net for training, in place: a checkpoint's keys stay as they are.

    Evaluation runs the net as it is, as `validate` and `predict` do: its images differ in size, and each size would be
    compiled anew.

    A line before the first step says what is compiled, and one after it how long that took.

    Args:
        options: Arguments of torch.compile, such as `mode` and `backend`.

    Raises:
        UserError: torch does not know an option or the backend.
    """

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.options = options or {}
        self.started: float | None = None
        self.compiled = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Have it compiled by its first step."""
        if stage != "fit":
            return
        try:
            pl_module.net.compile(**self.options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"callback Compile: options {self.options}: {one_line(error)}") from error

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Say what the first step compiles."""
        if self.started is not None:
            return
        self.started = time.monotonic()
        if trainer.is_global_zero:
            parameters = sum(parameter.numel() for parameter in pl_module.net.parameters())
            options = ", ".join(f"{key} {value}" for key, value in self.options.items()) or "torch's own options"
            say(
                f"compiling {type(pl_module.net).__name__}, {parameters / 1e6:.1f} M parameters, with {options}: the "
                "first steps take long, minutes on a CPU; images of another size are compiled again"
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Say how long the first step took."""
        if self.started is not None and not self.compiled and trainer.is_global_zero:
            say(f"compiled: the first step took {time.monotonic() - self.started:.1f} s")
        self.compiled = True

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the compiled net alone."""
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Go back to it."""
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """The stance belongs to the process, not to the run."""
        torch.compiler.set_stance("default")
