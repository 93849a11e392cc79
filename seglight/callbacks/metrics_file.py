"""Callback that writes `metrics.jsonl`: a line of JSON for each logged step and each validation of a fit."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from seglight.training.lightning_internals import logged_metrics
from seglight.training.semantic import SegmentationModule


class MetricsFile(Callback):
    """Appends the values given to `self.log` with the step and epoch, but no times: a repeated run writes equal bytes.

    A checkpoint keeps the length of the file, and a resumed run first removes what was written after it. Each line is
    written before a checkpoint of its step is saved. That is why this is a Callback: loggers are called later.

    Args:
        path: File that the process of rank 0 writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self.step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut the file to the length in the checkpoint, or to nothing without one."""
        self.step = trainer.global_step
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                self.bytes = min(self.bytes, file.tell())
                file.truncate(self.bytes)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Append a line every `log_every_n_steps` optimizer steps."""
        stepped = trainer.global_step > self.step
        self.step = trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if stepped and every and self.step % every == 0:
            self._append(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append a line, except after the sanity check."""
        if not trainer.sanity_checking:
            self._append(trainer, pl_module.class_values if isinstance(pl_module, SegmentationModule) else None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append a line if values of the whole epoch were logged."""
        self._append(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The length of the file."""
        return {"bytes": self.bytes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the length; `on_train_start` cuts the file."""
        self.bytes = state_dict["bytes"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Sync the file, so that a checkpoint that survives a crash of the machine finds its lines."""
        if trainer.is_global_zero and self.path.exists():
            with self.path.open("rb+") as file:
                os.fsync(file)

    def _append(self, trainer: Trainer, given: Mapping[str, float] | None = None) -> None:
        values: dict[str, int | float | Tensor] = {**logged_metrics(trainer)}  # on all processes: it reduces means
        values.update(given or {})
        if values and trainer.is_global_zero:
            line = json_line({"step": trainer.global_step, "epoch": trainer.current_epoch, **values})
            with self.path.open(
                "ab"
            ) as file:  # closed at once, so that nothing stays in a buffer if the process is killed
                self.bytes += file.write(line)


def json_line(values: Mapping[str, int | float | Tensor]) -> bytes:
    """Numbers and scalar tensors as a line of strict JSON: null where one is not finite."""
    plain = {key: value.item() if isinstance(value, Tensor) else value for key, value in values.items()}
    finite = {key: value if math.isfinite(value) else None for key, value in plain.items()}
    return (json.dumps(finite, allow_nan=False) + "\n").encode()
