"""`metrics.jsonl`: everything that a fit logs, a line of JSON for each logged step and each validation."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from seglight.training.lightning_internals import logged_metrics


class MetricsFile(Callback):
    """Appends what `self.log` was given, and the step and epoch; no times: a repeated run writes the same bytes.

    A checkpoint keeps the length of the file, and a run that goes on from it first cuts off what was written later. A
    line is there before a checkpoint of its step is saved, which is why this is no Logger: those are told afterwards.

    Args:
        path: Written by the process of rank 0 alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self.step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the checkpoint's length: at nothing, where there is none."""
        self.step = trainer.global_step
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                self.bytes = min(self.bytes, file.tell())
                file.truncate(self.bytes)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A line every `log_every_n_steps` optimizer steps."""
        stepped, self.step = trainer.global_step > self.step, trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if stepped and every and self.step % every == 0:
            self._append(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line, unless it was the check before a training."""
        if not trainer.sanity_checking:
            self._append(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line, if something was logged of the epoch as a whole."""
        self._append(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The length of the file."""
        return {"bytes": self.bytes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the length; `on_train_start` cuts."""
        self.bytes = state_dict["bytes"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A checkpoint that survives a crash of the machine finds its lines."""
        if trainer.is_global_zero and self.path.exists():
            with self.path.open("rb+") as file:
                os.fsync(file)

    def _append(self, trainer: Trainer) -> None:
        values = logged_metrics(trainer)  # all processes ask
        if values and trainer.is_global_zero:
            line = json_line({"step": trainer.global_step, "epoch": trainer.current_epoch, **values})
            with self.path.open("ab") as file:  # closed at once: nothing stays in a buffer when the process is killed
                self.bytes += file.write(line)


def json_line(values: Mapping[str, int | float | Tensor]) -> bytes:
    """Numbers and scalar tensors as a line of strict JSON: null where one is not finite."""
    plain = {key: value.item() if isinstance(value, Tensor) else value for key, value in values.items()}
    finite = {key: value if math.isfinite(value) else None for key, value in plain.items()}
    return (json.dumps(finite, allow_nan=False) + "\n").encode()
