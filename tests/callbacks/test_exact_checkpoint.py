"""When a run is saved, by steps and by a clock that the test turns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from seglight.callbacks import ExactCheckpoint
from tests.training import Noise, new_module, new_trainer, samples


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
    clock, saved, data = Minutes(), Saved(), Noise(samples(16))
    data.eval_batch_size, data.splits = 1, {}
    monkeypatch.setattr("seglight.callbacks.exact_checkpoint.time", SimpleNamespace(monotonic=lambda: clock.seconds))
    exact = ExactCheckpoint(every_n_steps=steps, every_n_minutes=minutes)
    new_trainer(exact, clock, saved, default_root_dir=tmp_path).fit(new_module(), datamodule=data)
    assert saved.steps == expected
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 8
