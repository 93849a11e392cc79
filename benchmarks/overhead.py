"""Overhead of the training loop of `seglight fit`: seconds per step against a plain PyTorch loop and plain Lightning.

`small` is a net with one layer on images of 64x64 in memory, so that almost only the loop is timed; `camvid` is the
CamVid recipe. All sides have the same net with the same weights, and read the same samples from the same loader.
`fit` includes everything that the command line adds to a run and everything in the recipe: progress bar, TensorBoard,
`metrics.jsonl`, checkpoints, a moving average of the weights. The plain loop ("bare") has net, loss, optimizer and
schedule; plain Lightning is a LightningModule with one `self.log` in a default Trainer. Progress bars cost more at a
terminal than in a pipe, plain Lightning's most of all.

The weights after the steps are compared bit by bit. In the small case the sides alternate in one process; the figure
of a run is its time from the end of the warm-up to the last step, divided by the number of steps. Steps of the recipe
take seconds, during which the load of the machine may change: the two loops alternate step by step, and medians of
steps are reported.
"""

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
from benchmarks._record import Parser, write_record
from benchmarks.camvid import RECIPE
from seglight.commands.fit.cli import SegmentationCLI
from seglight.data import SegmentationDataModule
from seglight.data.classes import Classes
from seglight.interfaces import Batch, SegOutput, seg_output
from seglight.training.semantic import SegmentationModule

WARM_UP = 2
"""Number of warm-up steps; the small case has ten times as many."""


class Noise(SegmentationDataModule):
    """Sixteen images of 64x64 in memory, repeated for a given number of steps.

    Args:
        steps: Number of steps of one epoch.
        seed: Seed of the order of samples.
    """

    def __init__(self, steps: int, seed: int = 0) -> None:
        classes = Classes(("a", "b"), ((0, 0, 0), (255, 255, 255)))
        super().__init__(classes, batch_size=2, eval_batch_size=1, num_workers=0, seed=seed)
        self.length = 2 * steps
        pixels = np.random.default_rng(0)
        self.images = pixels.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
        self.masks = pixels.integers(0, 2, (16, 64, 64), dtype=np.uint8)

    def split(self, name: str) -> "Noise":
        """Return this data for every split."""
        return self

    def __len__(self) -> int:
        return self.length

    @property
    def fingerprint(self) -> str:
        """Return a constant, because this data is never cached."""
        return "noise"

    def sources(self, index: int) -> tuple[Path, ...]:
        """Return no files, because the images are drawn."""
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Return an image, its mask and a name."""
        return self.images[index % 16], self.masks[index % 16], str(index)


class OneLayer(nn.Module):
    """A 1x1 convolution of the pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 1)

    def forward(self, image: Tensor) -> SegOutput:
        """Map uint8 (B, 3, H, W) to logits (B, C, H, W)."""
        return SegOutput(self.head(image.float() / 255))


class Stamps(Callback):
    """Records the time at the end of each step, and the weights before the first and after the last."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.before: dict[str, Tensor] = {}
        self.random = torch.get_rng_state()
        self.after: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Copy the initial state for the other sides."""
        if not self.before:
            self.before, self.random = deepcopy(pl_module.net.state_dict()), torch.get_rng_state()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())
        if len(self.times) == trainer.max_steps:
            self.after = deepcopy(pl_module.net.state_dict())


class Plain(LightningModule):
    """The same step as in Lightning's manual."""

    def __init__(self, module: SegmentationModule) -> None:
        super().__init__()
        self.net = module.net
        self.loss = module.loss
        self.make = module.optimizer, module.groups, module.schedule, module.steps
        self.memory_format = module.memory_format

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Log and return the loss."""
        loss: Tensor = self.loss(
            self.net(batch["image"].contiguous(memory_format=self.memory_format))[0], batch["mask"]
        )
        self.log("train/loss", loss, batch_size=len(batch["name"]))
        return loss

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the schedule of our module."""
        optimizer, groups, schedule, steps = self.make
        made = optimizer(groups(self.net))
        return {"optimizer": made, "lr_scheduler": {"scheduler": schedule(made, steps), "interval": "step"}}


class Case:
    """A net with its data, trained repeatedly from the same weights.

    Args:
        args: Arguments of `seglight fit`.
        steps: Number of steps of a run.
        warm_up: Number of steps before the time starts.
        folder: Folder of the runs.
    """

    def __init__(self, args: list[str], steps: int, warm_up: int, folder: Path) -> None:
        self.args = args
        self.steps = steps
        self.warm_up = warm_up
        self.folder = folder
        self.runs = 0
        self.expected: dict[str, Tensor] = {}
        self.fit()

    def fit(self) -> float:
        """Return the seconds per step of `seglight fit`."""
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
        """Return the seconds per step of a plain PyTorch loop."""
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
        """Return the seconds per step of plain Lightning."""
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
    """Return the median seconds per step of the alternating sides; the first round is not timed."""
    taken: dict[str, list[float]] = {side.__name__: [] for side in sides}
    for _ in range(1 + rounds):
        for side in sides:
            taken[side.__name__].append(side(case))
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def small(steps: int, folder: Path) -> Case:
    """Return the case in which almost only the loop is timed."""
    args = ["--model.net", "benchmarks.overhead.OneLayer", "--data", "benchmarks.overhead.Noise"]
    sgd = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.01"]
    accelerator = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1"]
    return Case([*args, "--data.steps", str(steps), *sgd, *accelerator], steps, 10 * WARM_UP, folder / "small")


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("overhead", __doc__)
    parser.add_argument("--root", help="folder of CamVid; without it only the small case is run")
    parser.add_argument("--rounds", type=int, default=5, help="number of timed runs of each side of the small case")
    parser.add_argument(
        "--steps", type=int, nargs=2, default=(1000, 40), help="numbers of steps of a run: small, camvid"
    )
    parser.add_argument("--threads", type=int, default=1)
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
            print(f"{row:7} {side:6} {1e3 * value:10.3f} ms per step, {over:7.0f} us over bare, x{ratio:.4f}")
    write_record(options, results)
