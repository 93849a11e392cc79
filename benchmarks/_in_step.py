"""A bare loop of PyTorch in step with `fit`: a step of its own after each of ours: both meet the same machine."""

import statistics
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from seglight.commands.fit.cli import SegmentationCLI
from seglight.interfaces import Batch, seg_output
from seglight.training.semantic import SegmentationModule


class InStep(Callback):
    """Steps a copy of the net, which reads the same samples from a loader of its own, after each step of `fit`."""

    data: Any
    """The data module of the copy."""

    def __init__(self) -> None:
        self.fit: list[float] = []
        self.bare: list[float] = []
        self.left = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        """Before the first step, take what `fit` begins with."""
        if not self.bare:
            self.net = deepcopy(pl_module.net).train()
            self.optimizer = pl_module.optimizer(pl_module.groups(self.net))
            self.schedule = pl_module.schedule(self.optimizer, pl_module.steps)
            self.batches = iter(self.data.train_dataloader())
            self.random = torch.get_rng_state()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Note how long a whole step of `fit` took, its data and callbacks included, and take one by hand."""
        start = time.perf_counter()
        if self.bare:
            self.fit.append(start - self.left)
        random = torch.get_rng_state()
        torch.set_rng_state(self.random)
        self._step(pl_module)
        self.random = torch.get_rng_state()
        torch.set_rng_state(random)
        self.left = time.perf_counter()
        self.bare.append(self.left - start)
        for name, tensor in pl_module.net.state_dict().items():
            assert torch.equal(tensor, self.net.state_dict()[name]), f"{name} differs"
        self.left = time.perf_counter()

    def _step(self, module: SegmentationModule) -> None:
        batch = next(self.batches)
        out = seg_output(self.net(batch["image"].contiguous(memory_format=module.memory_format)))
        loss = module.loss(out.logits, batch["mask"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()


def seconds_in_step(args: list[str], steps: int, warm_up: int, folder: Path) -> dict[str, float]:
    """Median seconds of a step of `fit` with these arguments and of the bare loop; weights are equal after each."""
    InStep.data = _fit(args, 1, folder / "first").datamodule
    beside = ["--trainer.callbacks+", f"{__name__}.InStep"]
    callbacks: list[Callback] = _fit([*args, *beside], steps, folder / "fit").trainer.callbacks  # type: ignore[attr-defined]
    found = next(callback for callback in callbacks if isinstance(callback, InStep))
    return {"bare": statistics.median(found.bare[warm_up:]), "fit": statistics.median(found.fit[warm_up - 1 :])}


def _fit(args: list[str], steps: int, run_dir: Path) -> SegmentationCLI:
    steps_alone = ["--trainer.max_steps", str(steps), "--trainer.limit_val_batches", "0"]
    return SegmentationCLI(["fit", *args, *steps_alone, "--run_dir", str(run_dir)])
