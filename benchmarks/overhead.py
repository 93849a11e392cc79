"""What the loop of `seglight fit` costs: seconds a step beside a bare PyTorch loop and plain Lightning.

`small` is a net of one layer on images of 64x64 that lie in memory, so that next to nothing but the loop is timed;
`camvid` is the CamVid recipe. All sides have the same net with the same weights, and read the same samples from the
same loader. `fit` has everything that the command line gives a run, and what the recipe has: progress bar,
TensorBoard, `metrics.jsonl`, checkpoints, a moving average of the weights. The bare loop has net, loss, optimizer and
schedule; plain Lightning is a LightningModule with one `self.log`, in a Trainer as it comes. Bars cost more at a
terminal than in a pipe, plain Lightning's most of all.

The weights after the steps are held equal, bit by bit. Of the small case the sides run in turn, in one process; a run's
figure is its time from the end of the warm-up to the last step, divided by the steps. Steps of the recipe take seconds,
within which a machine may change: the two loops go in step, one step of each in turn, and medians of steps are given.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks._in_step import seconds_in_step
from benchmarks.camvid import RECIPE
from seglight.commands.fit.cli import SegmentationCLI
from seglight.data import SegmentationDataModule
from seglight.data.classes import Classes
from seglight.interfaces import Batch, SegOutput, seg_output
from seglight.training.semantic import SegmentationModule

WARM_UP = 2
"""Steps; those of the small case are ten times as many."""


class Noise(SegmentationDataModule):
    """Sixteen images of 64x64 in memory, again and again: the data of so many steps.

    Args:
        steps: Of one epoch.
        seed: Decides the order.
    """

    def __init__(self, steps: int, seed: int = 0) -> None:
        classes = Classes(("a", "b"), ((0, 0, 0), (255, 255, 255)))
        super().__init__(classes, batch_size=2, eval_batch_size=1, num_workers=0, seed=seed)
        self.length = 2 * steps
        pixels = np.random.default_rng(0)
        self.images = pixels.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
        self.masks = pixels.integers(0, 2, (16, 64, 64), dtype=np.uint8)

    def split(self, name: str) -> "Noise":
        """Every split is the same."""
        return self

    def __len__(self) -> int:
        return self.length

    @property
    def fingerprint(self) -> str:
        """Never cached."""
        return "noise"

    def sources(self, index: int) -> tuple[Path, ...]:
        """None: it is drawn."""
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """An image, its mask and a name."""
        return self.images[index % 16], self.masks[index % 16], str(index)


class OneLayer(nn.Module):
    """A 1x1 convolution of the pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 1)

    def forward(self, image: Tensor) -> SegOutput:
        """uint8 (B, 3, H, W) to logits (B, C, H, W)."""
        return SegOutput(self.head(image.float() / 255))


class Stamps(Callback):
    """Notes the time at the end of each step, the weights before the first and after the last."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.before: dict[str, Tensor] = {}
        self.random = torch.get_rng_state()
        self.after: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Keep what the other sides begin with."""
        if not self.before:
            self.before, self.random = deepcopy(pl_module.net.state_dict()), torch.get_rng_state()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())
        if len(self.times) == trainer.max_steps:
            self.after = deepcopy(pl_module.net.state_dict())


class Plain(LightningModule):
    """The same step as the manual of Lightning writes it."""

    def __init__(self, module: SegmentationModule) -> None:
        super().__init__()
        self.net, self.loss = module.net, module.loss
        self.make = module.optimizer, module.groups, module.schedule, module.steps
        self.memory_format = module.memory_format

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss, logged."""
        loss: Tensor = self.loss(
            self.net(batch["image"].contiguous(memory_format=self.memory_format))[0], batch["mask"]
        )
        self.log("train/loss", loss, batch_size=len(batch["name"]))
        return loss

    def configure_optimizers(self) -> Any:
        """As ours."""
        optimizer, groups, schedule, steps = self.make
        made = optimizer(groups(self.net))
        return {"optimizer": made, "lr_scheduler": {"scheduler": schedule(made, steps), "interval": "step"}}


class Case:
    """One net with its data, trained again and again from the same weights.

    Args:
        args: Of `seglight fit`.
        steps: Of a run.
        warm_up: Steps before the clock starts.
        folder: Where the runs go.
    """

    def __init__(self, args: list[str], steps: int, warm_up: int, folder: Path) -> None:
        self.args, self.steps, self.warm_up, self.folder = args, steps, warm_up, folder
        self.runs = 0
        self.expected: dict[str, Tensor] = {}
        self.fit()

    def fit(self) -> float:
        """`seglight fit`: seconds a step."""
        self.runs += 1
        cli = SegmentationCLI(
            ["fit", *self.args, "--trainer.max_steps", str(self.steps), "--trainer.limit_val_batches", "0",
             "--trainer.callbacks+", "benchmarks.overhead.Stamps", "--run_dir", str(self.folder / str(self.runs))]
        )  # fmt: skip
        self.module, self.data = cli.model, cli.datamodule
        callbacks: list[Callback] = cli.trainer.callbacks  # type: ignore[attr-defined]
        self.stamps = next(callback for callback in callbacks if isinstance(callback, Stamps))
        self.expected = self.expected or self.stamps.after
        self._check(self.stamps.after)
        return self._seconds(self.stamps.times)

    def bare(self) -> float:
        """A loop of PyTorch."""
        module, stamps, times = self.module, self.stamps, []
        net, loss_of = module.net.train(), module.loss
        net.load_state_dict(stamps.before)
        optimizer = module.optimizer(module.groups(net))
        schedule = module.schedule(optimizer, module.steps)
        batches = iter(self.data.train_dataloader())
        torch.set_rng_state(stamps.random)
        for _ in range(self.steps):
            batch = next(batches)
            out = seg_output(net(batch["image"].contiguous(memory_format=module.memory_format)))
            loss = loss_of(out.logits, batch["mask"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            times.append(time.perf_counter())
        self._check(net.state_dict())
        return self._seconds(times)

    def plain(self) -> float:
        """Plain Lightning."""
        module, stamps = self.module, Stamps()
        module.net.load_state_dict(self.stamps.before)
        self.runs += 1
        trainer = Trainer(max_steps=self.steps, default_root_dir=self.folder / str(self.runs), callbacks=[stamps])
        trainer.fit(Plain(module), self.data.train_dataloader())
        self._check(stamps.after)
        return self._seconds(stamps.times)

    def _check(self, weights: dict[str, Tensor]) -> None:
        for name, tensor in weights.items():
            assert torch.equal(tensor, self.expected[name]), f"{name} differs"

    def _seconds(self, times: list[float]) -> float:
        return (times[-1] - times[self.warm_up - 1]) / (len(times) - self.warm_up)


def measure(case: Case, sides: list[Callable[[Case], float]], rounds: int) -> dict[str, float]:
    """Median seconds a step of each side, all in turn; a round before the first finds them equal."""
    taken: dict[str, list[float]] = {side.__name__: [] for side in sides}
    for _ in range(1 + rounds):
        for side in sides:
            taken[side.__name__].append(side(case))
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def small(steps: int, folder: Path) -> Case:
    """Next to nothing but the loop."""
    args = ["--model.net", "benchmarks.overhead.OneLayer", "--data", "benchmarks.overhead.Noise"]
    sgd = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.01"]
    accelerator = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1"]
    return Case([*args, "--data.steps", str(steps), *sgd, *accelerator], steps, 10 * WARM_UP, folder / "small")


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks overhead", description=__doc__)
    parser.add_argument("--root", help="the folder of CamVid; without it only the small case is run")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each side of the small case")
    parser.add_argument("--steps", type=int, nargs=2, default=(1000, 40), help="of a run: small, camvid")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(args)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_num_threads(options.threads)
    results = {}
    with tempfile.TemporaryDirectory() as name:
        case = small(options.steps[0], Path(name))
        results["small"] = measure(case, [Case.bare, Case.plain, Case.fit], options.rounds)
        if options.root:
            recipe = ["--config", RECIPE, "--data.init_args.root", options.root]
            results["camvid"] = seconds_in_step(recipe, options.steps[1], WARM_UP, Path(name) / "camvid")
    for row, seconds in results.items():
        for side, value in seconds.items():
            over, ratio = 1e6 * (value - seconds["bare"]), value / seconds["bare"]
            print(f"{row:7} {side:6} {1e3 * value:10.3f} ms a step, {over:7.0f} us over bare, x{ratio:.4f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
