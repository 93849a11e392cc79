"""Averages of weights and statistics of batch norms, against numpy and torch.optim.swa_utils.

Covers: callbacks.precise_bn, callbacks.swa.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.optim.swa_utils import AveragedModel

from seglight.callbacks import EMA, SWA, PreciseBN
from seglight.training.semantic import SegmentationModule
from tests.support.tiny import TinyNet
from tests.support.training import assert_same, collate, fit, plain_loop, samples


def batches(count: int = 8) -> list[list[dict[str, Any]]]:
    data = samples(count)
    return [data[k : k + 2] for k in range(0, count, 2)]


class AtValidation(Callback):
    """The net's state as it is validated."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def on_validation_batch_start(self, trainer: Trainer, pl_module: SegmentationModule, *args: Any) -> None:
        self.states.append({key: value.clone() for key, value in pl_module.net.state_dict().items()})


def swa_by_torch(start: int, every: int) -> AveragedModel:
    averages: list[AveragedModel] = []

    def before_step(net: torch.nn.Module, optimizer: Any, step: int) -> None:
        if not averages:
            averages.append(AveragedModel(net, use_buffers=True))
        if step > start and (step - 1 - start) % every == 0:
            averages[0].update_parameters(net)

    net = plain_loop(batches() * 3, each=before_step)
    before_step(net, None, 12)
    return averages[0]


@pytest.mark.parametrize(("start", "every", "first"), [(0.5, 1, 6), (0.25, 4, 3)])
def test_swa_is_torchs(start: float, every: int, first: int) -> None:
    seen = AtValidation()
    module = fit(samples(), SWA(start, every), seen, max_epochs=3, limit_val_batches=1)
    average = swa_by_torch(first, every).module
    assert_same(module.net, average)
    for key, value in seen.states[-1].items():
        torch.testing.assert_close(value, average.state_dict()[key], rtol=1e-5, atol=1e-6)


class SaveEachEpoch(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: Trainer, pl_module: SegmentationModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


def test_before_swa_begins_the_net_itself_is_validated_and_saved(tmp_path: Path) -> None:
    seen = AtValidation()
    fit(samples(), SWA(0.9), seen, SaveEachEpoch(tmp_path), max_epochs=2, limit_val_batches=1)
    saved = torch.load(tmp_path / "0.ckpt", weights_only=True)["state_dict"]
    for key, value in plain_loop(batches()).state_dict().items():
        torch.testing.assert_close(seen.states[0][key], value, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(saved[f"net.{key}"], value, rtol=1e-5, atol=1e-6)


class Steps(Callback):
    """The net's state as each step of the optimizer leaves it."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: SegmentationModule, *args: Any) -> None:
        self.states.append({key: value.clone() for key, value in pl_module.net.state_dict().items()})


def test_the_moving_average_is_what_is_validated_and_saved(tmp_path: Path) -> None:
    steps, seen = Steps(), AtValidation()
    fit(samples(), steps, EMA(0.15), seen, SaveEachEpoch(tmp_path), limit_val_batches=1)
    saved = torch.load(tmp_path / "0.ckpt", weights_only=True)["state_dict"]
    first, *others = steps.states
    for key in ("body.weight", "head.bias", "norm.running_var"):
        average = first[key]
        for update, state in enumerate(others, 1):
            decay = min(0.15, (1 + update) / (10 + update))
            average = decay * average + (1 - decay) * state[key]
        torch.testing.assert_close(seen.states[-1][key], average, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(saved[f"net.{key}"], average, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(average, others[-1][key], rtol=1e-4)


def statistics(net: TinyNet, data: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of what comes into the batch norm, over all images at once, in numpy."""
    with torch.no_grad():
        x = net.body(collate(data)["image"].float() / 255).double().numpy()
    return x.mean((0, 2, 3)), x.var((0, 2, 3))


@pytest.mark.parametrize("average", [None, EMA, SWA])
def test_precise_statistics_are_those_of_all_batches(average: Callable[[], Callback] | None) -> None:
    callbacks = [PreciseBN(3)] if average is None else [average(), PreciseBN(3)]
    data = samples()
    module = fit(data, *callbacks, limit_val_batches=1)
    mean, variance = statistics(module.net, data[:6])
    np.testing.assert_allclose(module.net.norm.running_mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(module.net.norm.running_var, variance, rtol=1e-5, atol=1e-6)
    assert module.net.norm.num_batches_tracked > 0


def test_precise_statistics_leave_training_alone() -> None:
    torch.manual_seed(1)
    found = fit(samples(), PreciseBN(2), limit_val_batches=1, max_epochs=2)
    without = fit(samples(), limit_val_batches=1, max_epochs=2)
    for key, value in found.net.named_parameters():
        assert torch.equal(value, dict(without.net.named_parameters())[key]), key
    assert not torch.equal(found.net.norm.running_var, without.net.norm.running_var)
