"""Callback that ends a training without any labelled pixel."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from seglight.errors import UserError
from seglight.system.ranks import sum_over_ranks


class LabelledPixels(Callback):
    """Ends a training if no pixel is labelled in its first epoch, or in its first 500 batches: the loss would be 0.

    Single batches without a labelled pixel are normal. After the first batch with one, nothing is checked any more.
    """

    most = 500

    def __init__(self) -> None:
        self.seen = False
        self.decided = False
        self.batches = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Skip the check in a run that was saved before this callback existed."""
        self.decided = self.decided or (trainer.global_step > 0 and self.batches == 0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Search the batch for a labelled pixel, unless one was found."""
        if not self.seen and not self.decided:
            self.seen = bool((batch["mask"] != pl_module.ignore_index).any())

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Check before the first validation."""
        self.batches += 1
        if self.batches == min(self.most, trainer.num_training_batches):
            self._check(pl_module, batch["name"][0])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Check a run that ends within its first epoch."""
        self._check(pl_module, None)

    def state_dict(self) -> dict[str, Any]:
        """What was found so far."""
        return {"seen": self.seen, "settled": self.decided, "batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what was found."""
        self.seen = state_dict["seen"]
        self.decided = state_dict["settled"]
        self.batches = state_dict["batches"]

    def _check(self, pl_module: Any, name: str | None) -> None:
        if self.decided:
            return
        self.decided = True
        (found,) = sum_over_ranks(torch.tensor(float(self.seen), device=pl_module.device))
        if not found:
            such_as = "" if name is None else f" (such as those of {name})"
            raise UserError(
                f"not one pixel{such_as} was labelled in {self.batches} training batches, there is nothing to learn "
                "from: label the images, or check which values the class table ignores"
            )
