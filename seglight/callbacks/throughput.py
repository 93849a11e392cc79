"""Images a second, waiting for data included."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Logs `train/images_per_second` over all processes, from the end of one step to the end of the next."""

    def __init__(self) -> None:
        self.last: float | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock where no step came before: at the first batch, or after an evaluation."""
        if self.last is None:
            self.last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the rate of this step."""
        now = time.perf_counter()
        if self.last is not None:
            rate = len(batch["name"]) * trainer.world_size / (now - self.last)
            pl_module.log("train/images_per_second", rate, prog_bar=True, batch_size=len(batch["name"]))
        self.last = now

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluation is not training."""
        self.last = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nor is what happens between epochs."""
        self.last = None
