"""Callback that writes the confusion matrix of each image, which `seglight scores` reads."""

from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.system.ranks import world_size


class ImageScores(Callback):
    """Writes `image_scores.npz` after each evaluation.

    Args:
        folder: Run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batches: list[list[str]] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the names of the last evaluation."""
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
        """Keep the names of the images."""
        self.batches.append(list(batch["name"]))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the file, except after the sanity check."""
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")
        self.batches = []

    def state_dict(self) -> dict[str, Any]:
        """Names of an evaluation in progress, on this process."""
        return {"batches": self.batches} if self.batches else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume that evaluation."""
        self.batches = state_dict["batches"]

    on_test_start = on_validation_start
    on_test_batch_end = on_validation_batch_end

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the file."""
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: Trainer, pl_module: Any, split: str) -> None:
        names = in_turn(list(chain.from_iterable(self.batches)))
        if trainer.is_global_zero:
            size = len(self.batches[0])
            ScoredImages(split, size, names, pl_module.image_counts).save(self.folder / FILE)


T = TypeVar("T")


def in_turn(own: list[T]) -> list[T]:
    """What all processes have of their images, in the order of the split, which is distributed image by image."""
    if world_size() == 1:
        return own
    shares: list[Any] = [None] * world_size()
    dist.all_gather_object(shares, own)
    return [entry for turn in zip_longest(*shares) for entry in turn if entry is not None]
