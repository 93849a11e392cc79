"""The moving average against its recurrence in numpy, within a real training run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglight.callbacks import EMA
from seglight.errors import UserError

DECAY = 0.25  # reached at update 2: both the growth and the end of it are seen


class Tiny(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.net(batch).pow(3).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Record(Callback):
    """The weights as the optimizer left them, step by step."""

    def __init__(self) -> None:
        self.states: list[dict[str, np.ndarray]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Tiny, *args: object) -> None:
        self.states.append({key: value.numpy().copy() for key, value in pl_module.state_dict().items()})


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[Tiny, list[dict[str, np.ndarray]]]]:
    torch.manual_seed(0)
    model, record = Tiny(), Record()
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[record, EMA(DECAY)],
    )
    trainer.fit(model, DataLoader(torch.randn(24, 2), batch_size=4))
    return model, record.states


def test_follows_the_recurrence(run: tuple[Tiny, list[dict[str, np.ndarray]]]) -> None:
    model, states = run
    assert len(states) == 6
    average = {key: value.astype(np.float64) for key, value in states[0].items()}
    for update, state in enumerate(states[1:], 1):
        decay = min(DECAY, (1 + update) / (10 + update))
        average = {key: decay * average[key] + (1 - decay) * state[key] for key in state}
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            np.testing.assert_allclose(value, average[key], rtol=1e-5, atol=1e-6)
            assert not np.allclose(value, states[-1][key], rtol=1e-4, atol=0), key


def test_counters_are_copied(run: tuple[Tiny, list[dict[str, np.ndarray]]]) -> None:
    counter = run[0].net[1].num_batches_tracked
    assert counter.dtype == torch.int64
    assert counter.item() == 6


@pytest.mark.parametrize("decay", [None, -0.1, 1.5, float("nan")])
def test_a_decay_that_is_no_fraction(decay: Any) -> None:
    with pytest.raises(UserError, match=r"EMA: decay is (None|-0\.1|1\.5|nan): give a number from 0 to 1\.$"):
        EMA(decay)
