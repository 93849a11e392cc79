"""`checkpoints/best.ckpt`: the weights of the best validation of a run."""

from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the highest `val/miou`.

    A class of its own has a state of its own, beside that of a `ModelCheckpoint` in a recipe with the same monitor.

    Args:
        folder: The folder that `best.ckpt` is written to.
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
        """The key of its state in checkpoints of runs that were started when it was a plain `ModelCheckpoint`."""
        return ModelCheckpoint(monitor=self.monitor, mode=self.mode).state_key
