"""Callback that writes `environment.json`: machine, versions and command of each start of a run."""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seglight.system.atomic import atomic_write
from seglight.system.cores import usable_cores
from seglight.training.profiler import RunTimes

PACKAGES = (
    "seglight", "torch", "torchvision", "lightning", "torchmetrics", "timm", "numpy", "albumentations",
    "opencv-python-headless", "pillow",
)  # fmt: skip
"""Distributions whose versions affect the results of a run."""


class Environment(Callback):
    """Appends an entry to a list at each start of training, and adds the time of each part to it at the end.

    Args:
        path: File that the process of rank 0 writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.starts: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append an entry for this start."""
        if trainer.is_global_zero:
            before = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else []
            self.starts = [*before, {"step": trainer.global_step, "world_size": trainer.world_size, **environment()}]
            self._write()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the seconds of each part."""
        profiler: Any = trainer.profiler  # type: ignore[attr-defined]
        if self.starts and isinstance(profiler, RunTimes):  # nothing started where there was no batch
            self.starts[-1]["seconds"] = {part: round(s, 6) for part, s in profiler.seconds.items()}
            self._write()

    def _write(self) -> None:
        atomic_write(self.path, json.dumps(self.starts, indent=2) + "\n")


def environment() -> dict[str, Any]:
    """Time, command, machine and versions of this process."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "folder": os.getcwd(),
        "git": git_state(Path.cwd()),
        "hostname": platform.node(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of a folder and whether tracked files differ from it; None outside of a git repository."""
    command = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*command, "diff", "--quiet", "HEAD"], capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.stdout.strip(), "dirty": changed.returncode != 0}


def cpu_name() -> str:
    """Name of the processor model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
