"""Time spent in training, waiting for data included, evaluation left out."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Tells loggers and the progress bar the images a second over all processes since the step logged before.

    Loggers get `train/images_per_second`, and as `train/seconds` the training time since the run or its resume began.
    Neither goes through `self.log`: `metrics.jsonl` has no times.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.last = 0.0
        self.images, self.since, self.step = 0, 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock before the loader does."""
        self.step = trainer.global_step
        self.last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add this step, from the end of the one before; on a step that is logged, tell."""
        now = time.perf_counter()
        self.seconds += now - self.last
        self.last = now
        self.images += len(batch["name"]) * trainer.world_size
        stepped, self.step = trainer.global_step > self.step, trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if stepped and every and self.step % every == 0:
            self._tell(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell of the steps after the last one that was logged."""
        if self.images:
            self._tell(trainer)

    def _tell(self, trainer: Trainer) -> None:
        rates = {
            "train/images_per_second": self.images / max(self.seconds - self.since, 1e-9),
            "train/seconds": self.seconds,
        }
        trainer.progress_bar_metrics.update(rates)
        for logger in trainer.loggers:
            logger.log_metrics(rates, self.step - 1)  # as Lightning counts: from 0
        self.images, self.since = 0, self.seconds

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluation is not training."""
        self.last = time.perf_counter()
