"""`metrics.jsonl`: what is in it, and that a run that goes on writes the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seglight.callbacks import MetricsFile
from seglight.callbacks.metrics_file import json_line

STEPS = 4
"""Of an epoch."""


class Logging(LightningModule):
    """Logs numbers that are known beforehand: at step n the loss 0.5 n, NaN at step 2."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        step = self.global_step + 1
        self.log("train/loss", torch.tensor(float("nan") if step == 2 else 0.5 * step))
        self.log("train/mean", torch.tensor(float(step)), on_step=False, on_epoch=True)
        return self.layer(batch[0]).sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/miou", torch.tensor(0.25))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class StopAfter(Callback):
    """An exception after so many steps: as near to a kill as it gets within a process."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.steps:
            raise InterruptedError


def fit(folder: Path, *more: Callback, ckpt_path: Path | None = None, **options: Any) -> None:
    data = DataLoader(TensorDataset(torch.ones(STEPS, 1)))
    options = {"max_epochs": 2, "log_every_n_steps": 1, **options}
    checkpoints = ModelCheckpoint(folder / "checkpoints", "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[MetricsFile(folder / "metrics.jsonl"), checkpoints, *more],
        **options,
    )
    trainer.fit(Logging(), data, data, ckpt_path=ckpt_path, weights_only=True)


def lines(folder: Path) -> list[dict[str, float | None]]:
    text = (folder / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in text.splitlines()]


def test_a_line_for_each_step_validation_and_epoch(tmp_path: Path) -> None:
    fit(tmp_path, max_epochs=1)
    assert lines(tmp_path) == [
        {"step": 1, "epoch": 0, "train/loss": 0.5},
        {"step": 2, "epoch": 0, "train/loss": None},
        {"step": 3, "epoch": 0, "train/loss": 1.5},
        {"step": 4, "epoch": 0, "train/loss": 2.0},
        {"step": 4, "epoch": 0, "val/miou": 0.25},
        {"step": 4, "epoch": 0, "train/mean": 2.5},
    ]


def test_lines_are_as_far_apart_as_logged_steps(tmp_path: Path) -> None:
    fit(tmp_path, log_every_n_steps=3)
    assert [line["step"] for line in lines(tmp_path) if "train/loss" in line] == [3, 6]


def test_accumulated_batches_are_one_step(tmp_path: Path) -> None:
    fit(tmp_path, accumulate_grad_batches=2)
    assert [line["step"] for line in lines(tmp_path) if "train/loss" in line] == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("saved", [1, 3, 5])
def test_going_on_writes_the_same_bytes(tmp_path: Path, saved: int) -> None:
    """Stopped after step 6, and begun again from the checkpoint of an earlier step."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    fit(straight)
    with pytest.raises(InterruptedError):
        fit(stopped, StopAfter(6))
    assert (stopped / "metrics.jsonl").stat().st_size < (straight / "metrics.jsonl").stat().st_size
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "ep')  # a line that the kill cut in two
    fit(stopped, ckpt_path=stopped / "checkpoints" / f"step={saved}.ckpt")
    assert without_means(stopped) == without_means(straight)


def without_means(folder: Path) -> list[str]:
    """Lightning itself starts the means of an epoch anew when it goes on within one."""
    return [line for line in (folder / "metrics.jsonl").read_text().splitlines() if "train/mean" not in line]


def test_a_run_from_the_start_takes_nothing_of_another(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("of a run that saved nothing\n")
    fit(tmp_path, max_epochs=1)
    assert lines(tmp_path)[0]["step"] == 1


def test_numbers_are_strict_json() -> None:
    values = {"a": torch.tensor(0.1), "b": float("inf"), "c": torch.tensor(float("nan")), "d": 3}
    assert json.loads(json_line(values)) == {"a": torch.tensor(0.1).item(), "b": None, "c": None, "d": 3}
