"""Callback that writes `checkpoints/best.ckpt`, the checkpoint of the best validation of a run."""

from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the highest `val/miou`.

    It is a class of its own so that its state has another key than that of a `ModelCheckpoint` with the same monitor
    in a recipe.

    Args:
        folder: Folder that `best.ckpt` is written to.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "best",
            monitor="val/miou",
            mode="max",
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    @property
    def former_state_key(self) -> str:
        """Key of its state in checkpoints of earlier versions, where it was a plain `ModelCheckpoint`."""
        return ModelCheckpoint(monitor=self.monitor, mode=self.mode).state_key
