"""What `seglight scores` reads: each image's own confusion matrix, by its name."""

from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.system.ranks import world_size


class ImageScores(Callback):
    """Writes `image_scores.npz` after each evaluation.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batches: list[list[str]] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the evaluation before."""
        self.batches = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the names."""
        self.batches.append(list(batch["name"]))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write, unless it was the check before a training."""
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")
        self.batches = []

    def state_dict(self) -> dict[str, Any]:
        """The names of an evaluation that is under way, on this process."""
        return {"batches": self.batches} if self.batches else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with that evaluation."""
        self.batches = state_dict["batches"]

    on_test_start = on_validation_start
    on_test_batch_end = on_validation_batch_end

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write."""
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: Trainer, pl_module: Any, split: str) -> None:
        names = in_turn(list(chain.from_iterable(self.batches)))
        if trainer.is_global_zero:
            size = len(self.batches[0])
            ScoredImages(split, size, names, pl_module.image_counts).save(self.folder / FILE)


def in_turn(own: list[str]) -> list[str]:
    """The names of all processes' images in the order of the split, of which each process takes one in turn."""
    if world_size() == 1:
        return own
    shares: list[Any] = [None] * world_size()
    dist.all_gather_object(shares, own)
    return [name for turn in zip_longest(*shares) for name in turn if name is not None]
