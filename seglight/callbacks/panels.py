"""Callback that shows panels image | truth | prediction | error of a fixed set of validation images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image

from seglight.callbacks.panel_sheet import panel_sheet
from seglight.callbacks.tensorboard import last_step, writers
from seglight.images.draw import panel
from seglight.images.stretch import stretched, without_data
from seglight.system.atomic import atomic_path


class ImagePanels(Callback):
    """Shows the first image of evenly spaced validation batches in TensorBoard, and as `panels.png` in the run folder.

    Of images that are not 8-bit RGB, the bands that are red, green and blue are shown, or the first ones, stretched
    between percentiles; pixels without data are grey in all columns.

    Args:
        folder: Folder that `panels.png` is written to.
        count: Number of images.
    """

    def __init__(self, folder: Path, count: int = 6) -> None:
        self.folder = folder
        self.count = count
        self.panels: list[NDArray[np.uint8]] = []
        self.seen = 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the batches, the same ones for each validation."""
        self.panels = []
        self.seen = 0
        batches = int(trainer.num_val_batches[0]) if trainer.num_val_batches else 0
        self.chosen = {round(position) for position in np.linspace(0, max(0, batches - 1), self.count)}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the panel of a chosen batch's first image."""
        position = self.seen  # batch_idx starts at 0 again in a resumed evaluation
        self.seen += 1
        if trainer.is_global_zero and not trainer.sanity_checking and position in self.chosen:
            height, width = batch["size"][0]
            image = batch["image"][0, :, :height, :width].permute(1, 2, 0).cpu().numpy()
            mask, pred = (labels[0, :height, :width].cpu().numpy() for labels in (batch["mask"], outputs))
            bands = pl_module.bands
            facts = pl_module.palette, pl_module.ignore_index, without_data(image, bands)
            self.panels.append(panel(stretched(image, bands), mask, pred, *facts))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the panels."""
        if not self.panels:
            return
        classes = pl_module.class_names, pl_module.palette
        for writer in writers(trainer):
            for position, picture in enumerate(self.panels):
                sheet = panel_sheet([picture], *classes)
                writer.add_image(f"panels/{position}", sheet, last_step(trainer), dataformats="HWC")
        with atomic_path(self.folder / "panels.png") as part:
            Image.fromarray(panel_sheet(self.panels, *classes)).save(part)
        self.panels = []

    def state_dict(self) -> dict[str, Any]:
        """Panels of an evaluation in progress."""
        return {"seen": self.seen, "panels": [torch.from_numpy(picture) for picture in self.panels]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume that evaluation."""
        self.seen = state_dict["seen"]
        self.panels = [picture.numpy() for picture in state_dict["panels"]]
