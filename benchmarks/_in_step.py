"""A plain PyTorch loop that alternates with `fit` step by step, so that both run under the same load of the machine."""

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
    """After each step of `fit`, trains a copy of the net on the same samples, which it reads from its own loader."""

    data: Any
    """The data module of the copy."""

    def __init__(self) -> None:
        self.fit: list[float] = []
        self.bare: list[float] = []
        self.left = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        """Copy the initial state of `fit` before the first step."""
        if not self.bare:
            self.net = deepcopy(pl_module.net).train()
            self.optimizer = pl_module.optimizer(pl_module.groups(self.net))
            self.schedule = pl_module.schedule(self.optimizer, pl_module.steps)
            self.batches = iter(self.data.train_dataloader())
            self.random = torch.get_rng_state()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Record the time of a step of `fit`, including data and callbacks, and run one step of the plain loop."""
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
    """Return the median seconds of a step of `fit` and of the plain loop; their weights are equal after each step."""
    InStep.data = _fit(args, 1, folder / "first").datamodule
    in_step = ["--trainer.callbacks+", f"{__name__}.InStep"]
    callbacks: list[Callback] = _fit([*args, *in_step], steps, folder / "fit").trainer.callbacks  # type: ignore[attr-defined]
    found = next(callback for callback in callbacks if isinstance(callback, InStep))
    return {"bare": statistics.median(found.bare[warm_up:]), "fit": statistics.median(found.fit[warm_up - 1 :])}


def _fit(args: list[str], steps: int, run_dir: Path) -> SegmentationCLI:
    only_steps = ["--trainer.max_steps", str(steps), "--trainer.limit_val_batches", "0"]
    return SegmentationCLI(["fit", *args, *only_steps, "--run_dir", str(run_dir)])
