"""The progress bar."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar


class ProgressBar(RichProgressBar):
    """Rich's bar with loss, learning rate and images a second."""

    def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, int | str | float | dict[str, float]]:
        """What stands to the right of the bar."""
        logged = trainer.progress_bar_metrics
        shown: dict[str, int | str | float | dict[str, float]] = {}
        if trainer.training:
            shown["loss"] = f"{float(pl_module.train_loss):.3f}"
        if trainer.optimizers:
            shown["lr"] = f"{trainer.optimizers[0].param_groups[-1]['lr']:.1e}"
        if "train/images_per_second" in logged:
            shown["images/s"] = f"{logged['train/images_per_second']:.1f}"
        return shown
