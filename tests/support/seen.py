"""A callback that keeps what a run has seen, for tests in this process."""

from typing import Any

from lightning.pytorch import Callback


class Seen(Callback):
    """Keeps the batches that a run trains on, and the names of those that it validates on."""

    trained: list[tuple[Any, ...]]
    validated: list[str]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        Seen.trained, Seen.validated = [], []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        Seen.trained.append((*batch["name"], batch["image"].numpy().tobytes()))

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        Seen.validated += batch["name"]
