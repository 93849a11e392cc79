"""Callback that measures the images per second of the training, without evaluations."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Logs the images per second of all processes since the last logged step, including the time to wait for data.

    Loggers receive `train/images_per_second`, and `train/seconds`, the training time since the run started or resumed.
    Neither uses `self.log`, since `metrics.jsonl` has no times. The progress bar shows both.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.last = 0.0
        self.images = 0
        self.since = 0.0
        self.step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock before the loader starts."""
        self.step = trainer.global_step
        self.last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the time since the end of the last step; log at a logged step."""
        now = time.perf_counter()
        self.seconds += now - self.last
        self.last = now
        self.images += len(batch["name"]) * trainer.world_size
        stepped = trainer.global_step > self.step
        self.step = trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if stepped and every and self.step % every == 0:
            self._log(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the steps after the last logged one."""
        if self.images:
            self._log(trainer)

    def _log(self, trainer: Trainer) -> None:
        rates = {
            "train/images_per_second": self.images / max(self.seconds - self.since, 1e-9),
            "train/seconds": self.seconds,
        }
        trainer.progress_bar_metrics.update(rates)
        for logger in trainer.loggers:
            logger.log_metrics(rates, self.step - 1)  # Lightning counts from 0
        self.images = 0
        self.since = self.seconds

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave out the time of the evaluation."""
        self.last = time.perf_counter()
