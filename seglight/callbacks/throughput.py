"""Time spent in training, waiting for data included, evaluation left out."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Logs `train/images_per_second` over all processes, and the `train/seconds` since the run or its resume began."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.last = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock before the loader does."""
        self.last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the rate of this step, from the end of the one before."""
        now = time.perf_counter()
        elapsed, self.last = now - self.last, now
        self.seconds += elapsed
        count = len(batch["name"])
        pl_module.log("train/images_per_second", count * trainer.world_size / elapsed, prog_bar=True, batch_size=count)
        pl_module.log("train/seconds", self.seconds, batch_size=count)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluation is not training."""
        self.last = time.perf_counter()
