"""Ends a training that has nothing to learn from."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from seglight.errors import UserError
from seglight.system.ranks import sum_over_ranks


class LabelledPixels(Callback):
    """Ends a training in whose first epoch, or first 500 batches, no pixel was labelled: its loss is 0.

    Batches without a labelled pixel here and there are as they should be. After the first batch with one, nothing is
    looked at any more.
    """

    most = 500

    def __init__(self) -> None:
        self.seen = self.settled = False
        self.batches = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """A run that was saved before this callback existed has been trained already."""
        self.settled = self.settled or (trainer.global_step > 0 and self.batches == 0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Look for a labelled pixel, unless one was found."""
        if not self.seen and not self.settled:
            self.seen = bool((batch["mask"] != pl_module.ignore_index).any())

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Judge before the first validation."""
        self.batches += 1
        if self.batches == min(self.most, trainer.num_training_batches):
            self._judge(pl_module, batch["name"][0])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Judge a run that ends within its first epoch."""
        self._judge(pl_module, None)

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"seen": self.seen, "settled": self.settled, "batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume there."""
        self.seen, self.settled, self.batches = (state_dict[key] for key in ("seen", "settled", "batches"))

    def _judge(self, pl_module: Any, name: str | None) -> None:
        if self.settled:
            return
        self.settled = True
        (found,) = sum_over_ranks(torch.tensor(float(self.seen), device=pl_module.device))
        if not found:
            such_as = "" if name is None else f" (such as those of {name})"
            raise UserError(
                f"not one pixel{such_as} was labelled in {self.batches} training batches, there is nothing to learn "
                "from: label the images, or check which values the class table ignores"
            )
