"""Progress bar of a training."""

import math
import time
from typing import Any

from lightning.pytorch import Trainer

from seglight.training.lightning_internals import NamedEpochBar

SECONDS = 0.25
"""Seconds between two updates of the bar."""


class ProgressBar(NamedEpochBar):
    """Rich progress bar with loss, learning rate and images per second, updated a few times per second.

    Lightning's bar is updated at every step, and synchronises with the device for the loss each time.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=4)
        self.shown = -math.inf

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Update the bar after `SECONDS`, and at the end of the epoch."""
        now = time.monotonic()
        if now - self.shown >= SECONDS or batch_idx + 1 == self.total_train_batches:
            self.shown = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def describe_epoch(self, epoch: int) -> str:
        """Count epochs from 1, as the printed lines do."""
        last = "" if self.trainer.max_epochs in (None, -1) else f"/{self.trainer.max_epochs}"
        return f"Epoch {epoch + 1}{last}".ljust(len(self.validation_description))

    def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, int | str | float | dict[str, float]]:
        """Values to the right of the bar."""
        logged = trainer.progress_bar_metrics
        shown: dict[str, int | str | float | dict[str, float]] = {}
        if trainer.training:
            shown["loss"] = f"{float(pl_module.train_loss):.3f}"
        if trainer.optimizers:
            shown["lr"] = f"{trainer.optimizers[0].param_groups[-1]['lr']:.1e}"
        if "train/images_per_second" in logged:
            shown["images/s"] = f"{logged['train/images_per_second']:.1f}"
        return shown
