"""Where the time of a fit goes: by a clock that the test turns, and in a fit whose parts sleep."""

import time
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from seglight.training import profiler as module
from seglight.training.profiler import RunTimes


def test_a_part_within_another_is_taken_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds by hand: 1 rest, 2 optimizer, 4 forward, 8 optimizer, 16 rest."""
    ticks = iter((0.0, 1.0, 3.0, 7.0, 15.0, 31.0))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    times = RunTimes()
    with times.profile("[LightningModule]Net.optimizer_step"), times.profile("[Strategy]Any.training_step"):
        pass
    assert times.line() == (
        "31 s: data 0.0%, forward 12.9%, backward 0.0%, optimizer 32.3%, evaluation 0.0%, saving 0.0%, rest 54.8%"
    )
    assert times.seconds["optimizer"] == 10
    assert times.seconds["rest"] == 17


def test_an_exception_closes_its_part() -> None:
    times = RunTimes()
    with pytest.raises(InterruptedError), times.profile("[Strategy]Any.training_step"):
        raise InterruptedError
    assert times.open == ["rest"]


class Asleep(Dataset[Tensor]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(0.02)
        return torch.ones(1)


class SleepyGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        time.sleep(0.08)
        return gradient


class Sleepy(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        time.sleep(0.04)
        return SleepyGradient.apply(self.layer(batch).sum())

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        time.sleep(0.06)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        time.sleep(0.05)

    def on_validation_epoch_end(self) -> None:
        time.sleep(0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        time.sleep(0.07)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_the_parts_of_a_fit(tmp_path: Any) -> None:
    """Each part lasts at least as long as it slept, for two batches and one checkpoint; together they are the fit."""
    data, start = DataLoader(Asleep()), time.perf_counter()
    times = RunTimes()
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, logger=False, profiler=times, callbacks=[ModelCheckpoint(tmp_path)],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Sleepy(), data, data)
    took = time.perf_counter() - start
    times.line()
    slept = {"data": 0.04, "forward": 0.08, "backward": 0.16, "optimizer": 0.12, "evaluation": 0.24, "saving": 0.07}
    for part, least in slept.items():
        assert times.seconds[part] >= least, part
        others = sum(slept.values()) - least
        assert times.seconds[part] <= took - others, part
    assert sum(times.seconds.values()) == pytest.approx(took, rel=0.1)
