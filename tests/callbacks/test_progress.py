"""How often the bar is brought up to date."""

from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from seglight.callbacks import ProgressBar

SECONDS = "seglight.callbacks.progress.SECONDS"


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, list(range(1, 9))), (1000.0, [1, 8])])
def test_the_bar_follows_the_clock(seconds: float, shown: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight steps: each, or the first and the last."""
    steps = set()

    class Asked(ProgressBar):
        def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, int | str | float | dict[str, float]]:
            steps.add(trainer.global_step)
            return {}

    monkeypatch.setattr(SECONDS, seconds)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=8,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[Asked()],
    )
    trainer.fit(BoringModel())
    assert sorted(steps) == shown


def test_epochs_count_from_one_as_the_printed_lines_do() -> None:
    told = []

    class Told(ProgressBar):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
            super().on_train_epoch_start(trainer, pl_module)
            assert self.progress is not None
            told.append(self.progress.tasks[-1].description.strip())

        def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, int | str | float | dict[str, float]]:
            return {}

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[Told()],
    )
    trainer.fit(BoringModel())
    assert told == ["Epoch 1/2", "Epoch 2/2"]
