"""`environment.json` against what the interpreter, git and the packages say themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import numpy
import pytest
import timm
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from seglight.callbacks import Environment
from seglight.callbacks.environment import environment, git_state
from seglight.training.profiler import RunTimes


def git(folder: Path, *args: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    return subprocess.run(["git", "-C", folder, *identity, *args], check=True, capture_output=True, text=True).stdout


def test_the_commit_of_a_folder(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "log", "-1", "--format=%H").strip()
    (tmp_path / "strange").write_text("a run's output")
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_no_git_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path.cwd()) is None


def test_versions_are_the_packages_own() -> None:
    now = environment()
    versions = {"torch": torch.__version__, "lightning": lightning.__version__, "timm": timm.__version__}
    for name, version in {**versions, "numpy": numpy.__version__}.items():
        assert now["versions"][name].partition("+")[0] == version.partition("+")[0]
    assert now["python"] == ".".join(map(str, sys.version_info[:3]))
    assert now["hostname"] == os.uname().nodename
    assert len(now["devices"]) == torch.cuda.device_count()


def test_an_entry_for_each_start(tmp_path: Path) -> None:
    path = tmp_path / "run" / "environment.json"
    options: Any = {
        "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "limit_val_batches": 0, "limit_train_batches": 1,
        "callbacks": [Environment(path)],
    }  # fmt: skip
    trainer = Trainer(max_steps=1, profiler=RunTimes(), **options)
    trainer.fit(BoringModel())
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    Trainer(max_steps=2, **options).fit(BoringModel(), ckpt_path=tmp_path / "one.ckpt", weights_only=True)
    first, second = json.loads(path.read_text())
    assert (first["step"], second["step"]) == (0, 1)
    assert first["world_size"] == 1
    assert first["seconds"]["forward"] > 0
    assert "seconds" not in second  # another profiler was chosen
    assert [left.name for left in path.parent.iterdir()] == ["environment.json"]
