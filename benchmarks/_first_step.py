"""A callback that ends the process at the first step of a training."""

import os
from typing import Any

from lightning.pytorch import Callback, Trainer


class EndAtFirstStep(Callback):
    """Ends the process, without what Python does at an end, before the first batch is trained on."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """End with exit code 0."""
        os._exit(0)
