"""When a run is saved, by steps and by a clock that the test turns; the loss scale of float16 goes on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from seglight.callbacks import ExactCheckpoint
from tests.support.nonfinite import Overflow, float16, marked
from tests.support.training import Noise, new_module, new_trainer, samples


class Data(Noise):
    """With what a checkpoint asks of data."""

    eval_batch_size = 1
    splits: ClassVar[dict[str, Any]] = {}

    def start_at(self, epoch: int, samples: int, eval_batches: int) -> None:
        pass


class Saved(Callback):
    """The optimizer steps of the checkpoints that are written."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.steps.append(checkpoint["global_step"])


class Minutes(Callback):
    """A step takes a minute."""

    def __init__(self) -> None:
        self.seconds = 1e6

    def on_train_batch_end(self, *args: Any) -> None:
        self.seconds += 60


@pytest.mark.parametrize(
    ("steps", "minutes", "expected"),
    [
        (3, None, [3, 6, 8]),
        (None, 2.5, [3, 6, 8]),
        (None, 5.0, [5, 8]),
        (4, 2.5, [3, 4, 7, 8]),  # the minutes count from the last one, whatever it was for
        (None, None, [8]),
    ],
)
def test_a_run_of_eight_steps(
    steps: int | None, minutes: float | None, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = Minutes(), Saved()
    monkeypatch.setattr("seglight.callbacks.exact_checkpoint.time", SimpleNamespace(monotonic=lambda: clock.seconds))
    exact = ExactCheckpoint(every_n_steps=steps, every_n_minutes=minutes)
    new_trainer(exact, clock, saved, default_root_dir=tmp_path).fit(new_module(), datamodule=Data(samples(16)))
    assert saved.steps == expected
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 8


def test_the_loss_scale_of_float16_goes_on(tmp_path: Path) -> None:
    """It is halved in the first epoch's last step; a scale of 2 ** 10 is what the second begins with by itself."""
    for epochs, data in ((1, marked(7)), (2, marked())):
        scaler, precision = float16()
        before = tmp_path / "checkpoints" / "last.ckpt" if epochs == 2 else None
        trainer = new_trainer(ExactCheckpoint(), plugins=precision, max_epochs=epochs, default_root_dir=tmp_path)
        trainer.fit(new_module(loss=Overflow), datamodule=Data(data), ckpt_path=before, weights_only=True)
        assert trainer.global_step == 4 * epochs
        assert scaler.get_scale() == 2.0**9
