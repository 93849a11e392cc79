"""A small recipe with everything random in it, runs of it in processes that can be killed, and what they leave."""

import faulthandler
import itertools
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from seglight.__main__ import main
from seglight.training.semantic import SegmentationModule

RECIPE = """
seed_everything: 5
trainer:
  accelerator: cpu
  max_epochs: 3
  log_every_n_steps: 1
  enable_progress_bar: false
  callbacks:
    - {class_path: seglight.callbacks.EMA, init_args: {decay: 0.9}}
    - {class_path: seglight.callbacks.ExactCheckpoint, init_args: {every_n_steps: 4}}
model:
  net: {class_path: tests.support.resumable.Net}
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 1.0e-2}}
  schedule: {class_path: seglight.optim.WarmupPoly, init_args: {warmup_steps: 3}}
data:
  class_path: seglight.data.ShapesDataModule
  init_args:
    size: 64
    train_images: 26
    eval_images: 5
    batch_size: 4
    num_workers: 0
    augmentation: {crop_size: 32}
"""
"""Epochs of 6 steps and 5 batches of evaluation, and 2 images that an epoch leaves out."""


FORKS = multiprocessing.get_context("forkserver")
"""Forks a process that has run no test: threads of runtimes that a test leaves do not exist in forks of its process."""

# s3fs: Lightning imports it, where there is one, when it first looks at a path
FORKS.set_forkserver_preload(
    [
        "seglight.commands.fit.cli",
        "seglight.commands.predict.command",
        "seglight.data.datasets.shapes",
        "s3fs",
        __name__,
    ]
)


CRASHES = (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT)
"""Exit codes of processes that have crashed: the log of the kernel may say where."""


class Net(nn.Module):
    """Batch norm and dropout; may take its time, for who wants to hit it."""

    def __init__(self, num_classes: int, seconds: float = 0.0, eval_seconds: float = 0.0) -> None:
        super().__init__()
        self.body, self.norm = nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8)
        self.drop, self.head = nn.Dropout2d(0.3), nn.Conv2d(8, num_classes, 1)
        self.seconds, self.eval_seconds = seconds, eval_seconds

    def forward(self, image: Tensor) -> Tensor:
        time.sleep(self.seconds if self.training else self.eval_seconds)
        logits: Tensor = self.head(self.drop(self.norm(self.body(image.float() / 255)).relu()))
        return logits


class BrokenOff(BaseException):
    """As if the process had been killed."""


def break_off_at(step: int, patch: Any, hook: str = "on_before_optimizer_step") -> None:
    """End trainings of this process before their optimizer step of this number, counted from 0.

    Args:
        step: Optimizer steps before it.
        patch: What pytest gives as `monkeypatch`.
        hook: Another hook of the module to end them in, that is called with what this one is not.
    """

    def stop(module: SegmentationModule, *args: Any) -> None:
        if module.trainer.global_step == step and len(module.trainer.callbacks) > 2:  # a finder has one, or none
            raise BrokenOff

    patch.setattr(SegmentationModule, hook, stop)


def write_recipe(folder: Path) -> Path:
    """The recipe as a file."""
    path = folder / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def start(args: list[object], log: Path, before: Callable[[], None] | None = None) -> BaseProcess:
    """`python -m seglight ARGS` in a fork of a process that has imported everything and done nothing else.

    It leads a process group of its own, as a job under a scheduler does.

    Args:
        args: Words of the command line.
        log: File to which all output is appended, that of C code included, and the place where a signal ended it.
        before: Function that the process calls first. It is pickled: a function of a module, or a `partial` of one.
    """
    process = FORKS.Process(target=run, args=([str(arg) for arg in args], log, before, dict(os.environ), Path.cwd()))
    process.start()
    return process


def run(args: list[str], log: Path, before: Callable[[], None] | None, environ: dict[str, str], folder: Path) -> None:
    """Run a command line in the new process, and end the process with its exit code."""
    code = 70
    try:
        os.setpgid(0, 0)
        sys.stdout = sys.stderr = log.open("a", buffering=1)
        for number in (1, 2):
            os.dup2(sys.stderr.fileno(), number)
        faulthandler.enable(sys.stderr)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        multiprocessing.set_start_method("fork", force=True)  # for loader workers, as in a process started by hand
        torch.set_num_threads(1)
        if before is not None:
            before()
        code = main(args)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(process: BaseProcess, seconds: float = 120) -> int:
    """Its exit code, negative where a signal ended it; one that hangs is killed."""
    process.join(seconds)
    if process.exitcode is None:
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        raise TimeoutError(f"not done after {seconds} s")
    if process.exitcode in CRASHES and shutil.which("dmesg"):
        sys.stdout.write(subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout[-2000:])
    return process.exitcode


def send(number: signal.Signals) -> None:
    """Send a signal to the process itself."""
    os.kill(os.getpid(), number)


def kill_before_step(step: int) -> None:
    """Kill this process, as `kill -9` does, before an optimizer step of its training, counted from 0."""

    def stop(module: SegmentationModule, *args: Any) -> None:
        if module.trainer.global_step == step:
            send(signal.SIGKILL)

    SegmentationModule.on_before_optimizer_step = stop  # type: ignore[method-assign, assignment]


def in_forward(training: bool, number: int, do: Callable[[], None]) -> None:
    """Do something in the n-th forward pass of this process's training or of its evaluations."""
    original, calls = Net.forward, itertools.count(1)

    def forward(self: Net, image: Tensor) -> Tensor:
        if self.training == training and next(calls) == number:
            do()
        return original(self, image)

    Net.forward = forward


def final(run_dir: Path) -> dict[str, Any]:
    """All that a run ends with: tensors of net, average and optimizer, the matrix, and what was logged."""
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    best = torch.load(run_dir / "checkpoints" / "best.ckpt", weights_only=True)
    left = {key: checkpoint[key] for key in ("state_dict", "current_model_state", "averaging_state")}
    left |= {key: checkpoint[key] for key in ("optimizer_states", "lr_schedulers", "epoch", "global_step")}
    left["best"] = best["state_dict"]
    left["random"] = [process["random"] for process in checkpoint["exact"]["processes"]]
    left |= {name: (run_dir / name).read_text() for name in ("metrics.jsonl", "scores.json")}
    return dict(leaves(left))


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what stands there, tensors as their bytes."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{prefix}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from leaves(part, f"{prefix}.{index}")
    else:
        yield prefix, value.numpy().tobytes() if isinstance(value, Tensor) else value


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Keys at which two runs differ, in anything."""
    return [key for key in {**one, **other} if key not in one or key not in other or one[key] != other[key]]


def fit(run_dir: Path, *options: object, before: Callable[[], None] | None = None) -> BaseProcess:
    """Start `fit --resume` with the recipe beside the run folder."""
    recipe = run_dir.parent / "recipe.yaml"
    log = run_dir.parent / f"{run_dir.name}.log"
    return start(["fit", "-c", recipe, "--run_dir", run_dir, "--resume", *options], log, before)


def take_place(rank: int, port: int) -> None:
    """Make this process one of two that train together."""
    os.environ.update({"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    rank_zero_only.rank = rank


def fit_in_two(run_dir: Path, *options: object) -> tuple[BaseProcess, BaseProcess]:
    """The same in two processes that train together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    two = ("--trainer.devices", 2, "--trainer.strategy", "ddp", "--data.init_args.batch_size", 2)
    first, second = (fit(run_dir, *two, *options, before=partial(take_place, rank, port)) for rank in range(2))
    return first, second
