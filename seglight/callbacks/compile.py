"""Callback that compiles the net with torch.compile."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from seglight.errors import UserError, one_line, say


class Compile(Callback):
    """Compiles the net for training, in place: the keys of checkpoints stay the same.

    Evaluation runs the net without compilation, as `validate` and `predict` do: its images differ in size, and every
    size would be compiled again.

    A line before the first step reports what is compiled, and a line after it how long that took.

    Args:
        options: Arguments of torch.compile, such as `mode` and `backend`.

    Raises:
        UserError: An option or the backend is unknown to torch.
    """

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.options = options or {}
        self.started: float | None = None
        self.compiled = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Mark the net for compilation at its first step."""
        if stage != "fit":
            return
        try:
            pl_module.net.compile(**self.options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"callback Compile: options {self.options}: {one_line(error)}") from error

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Report what the first step compiles."""
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
        """Report how long the first step took."""
        if self.started is not None and not self.compiled and trainer.is_global_zero:
            say(f"compiled: the first step took {time.monotonic() - self.started:.1f} s")
        self.compiled = True

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Run the net without compilation."""
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Run the compiled net again."""
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Restore the stance, which belongs to the process and not to the run."""
        torch.compiler.set_stance("default")
