"""Scores of few and of many classes reach monitors alike."""

from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

from seglight.training.logged_scores import class_keys, log_scores


class Scored(BoringModel):
    """Has an IoU of k / 1000 for class k after each validation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        keys = class_keys("val", [f"class {k}" for k in range(classes)])
        self.by_class = {key: k / 1000 for k, key in enumerate(keys)}

    def on_validation_epoch_end(self) -> None:
        log_scores(self, {"val/miou": 0.5}, self.by_class)


class AfterSanityCheck(Callback):
    """What was given to monitors before the training."""

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        self.found = dict(trainer.callback_metrics)


@pytest.mark.parametrize("classes", [255, 256])
def test_all_classes_reach_monitors(classes: int) -> None:
    seen = AfterSanityCheck()
    trainer = Trainer(
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=1,
        accelerator="cpu",
        callbacks=[seen],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Scored(classes)
    trainer.fit(module, datamodule=BoringDataModule())
    assert seen.found == {}
    found = {key: float(value) for key, value in trainer.callback_metrics.items()}
    assert found == pytest.approx({"val/miou": 0.5, **module.by_class})
    assert f"val/iou/class {classes - 1}" in found
