"""The scores of a release are those with which the checkpoint was validated, whatever was scored afterwards."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from tests.support import fabricate, resumable

RECIPE = """
seed_everything: 1
trainer:
  accelerator: cpu
  max_epochs: 3
  num_sanity_val_steps: 0
  enable_progress_bar: false
  callbacks: [{callbacks}{{class_path: tests.commands.release.test_scores.Forget}}]
model:
  net: {{class_path: tests.support.tiny.TinyNet}}
  optimizer: {{class_path: torch.optim.AdamW, init_args: {{lr: 1.0e-2}}}}
data:
  class_path: seglight.data.FolderDataModule
  init_args: {{root: {root}, num_workers: 0, batch_size: 2}}
"""

AVERAGES = {
    "none": "",
    "ema": "{class_path: seglight.callbacks.EMA, init_args: {decay: 0.5}}, ",
    "swa": "{class_path: seglight.callbacks.SWA, init_args: {start: 0.3}}, ",
    "swa at the end, precise norms": "{class_path: seglight.callbacks.SWA, init_args: {start: 0.9}}, "
    "{class_path: seglight.callbacks.PreciseBN, init_args: {batches: 2}}, ",
}


class Forget(Callback):
    """From the second epoch on the net says one class, which no pixel has: the first one was the best."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch:
            with torch.no_grad():
                pl_module.net.head.weight.zero_()
                pl_module.net.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 100.0]))


def scores_of(folder: Path) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((folder / "release.json").read_text())["scores"]
    return scores


def released(cli: Callable[..., Any], checkpoint: Path, out: Path) -> Any:
    return cli("release", checkpoint, "--out", out, "--trust", "tests")


def recipe(folder: Path, callbacks: str = "") -> Path:
    names = ("ground", "cat", "dog", "never")
    root = fabricate.folder(folder / "data", names=names)
    for path in root.glob("masks/*/*.png"):
        mask = fabricate.raw(path).copy()
        mask[mask == 3] = 255
        fabricate.save_mask(path, mask)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(root=root, callbacks=callbacks))
    return path


@pytest.mark.parametrize("average", AVERAGES)
def test_best_and_last(average: str, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    config, run = recipe(tmp_path, AVERAGES[average]), tmp_path / "run"
    ran = seglight_cli("fit", "-c", config, "--run_dir", run)
    assert ran.rc == 0, ran.err
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    mious = {line["step"]: line["val/miou"] for line in logged if "val/miou" in line}
    best, last = max(mious, key=lambda step: mious[step]), max(mious)
    assert best != last
    found = {}
    for name, step in (("best", best), ("last", last)):
        checkpoint = run / "checkpoints" / f"{name}.ckpt"
        ran = released(seglight_cli, checkpoint, tmp_path / name)
        assert (ran.rc, ran.err) == (0, "")
        found[name] = scores_of(tmp_path / name)
        assert found[name]["step"] == step
        assert found[name]["miou"] == pytest.approx(mious[step], abs=1e-6)  # logged as float32
        # the same by another way
        ran = seglight_cli("validate", "-c", config, "--ckpt_path", checkpoint, "--run_dir", tmp_path / f"of {name}")
        assert found[name] == json.loads((tmp_path / f"of {name}" / "scores.json").read_text())
    data = json.loads((tmp_path / "best" / "release.json").read_text())["data"]
    assert (data["split"], data["images"]) == ("val", 2)
    assert data == json.loads((tmp_path / "last" / "release.json").read_text())["data"]

    # another checkpoint is scored in the run's folder, and the best one is moved away from it
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "moved.ckpt")
    ran = seglight_cli("test", "-c", config, "--ckpt_path", run / "checkpoints" / "last.ckpt", "--run_dir", run)
    assert ran.rc == 0, ran.err
    for checkpoint in (run / "checkpoints" / "best.ckpt", tmp_path / "moved.ckpt"):
        assert released(seglight_cli, checkpoint, tmp_path / checkpoint.stem / "net").err == ""
        assert scores_of(tmp_path / checkpoint.stem / "net") == found["best"]
    assert released(seglight_cli, run / "checkpoints" / "last.ckpt", tmp_path / "tested").err == ""
    assert scores_of(tmp_path / "tested")["split"] == "test", "what was asked for last goes before"


def test_weights_that_were_never_scored(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """A checkpoint between two validations doesn't take the scores of the one before."""
    config, run = recipe(tmp_path), tmp_path / "run"
    options = ("--trainer.max_steps", 3, "--trainer.limit_train_batches", 2, "--trainer.callbacks", "[]")
    assert seglight_cli("fit", "-c", config, "--run_dir", run, *options).rc == 0
    ran = released(seglight_cli, run / "checkpoints" / "last.ckpt", tmp_path / "net")
    scores = scores_of(tmp_path / "net")
    assert (scores is None) == ("released without scores" in ran.err)
    assert scores is None or scores["step"] == 3


@pytest.mark.usefixtures("_imported")
def test_after_a_resume(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """Stopped just after a validation, it is saved with that validation's scores again."""
    resumable.write_recipe(tmp_path)
    assert resumable.wait(resumable.fit(tmp_path / "run", "--trainer.max_epochs", 2)) == 0
    before = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["scores"]
    options = ("--resume", "force", "--trainer.max_epochs", 3, "--trainer.limit_train_batches", 1)
    ran = seglight_cli("fit", "--run_dir", tmp_path / "run", *options)
    assert ran.rc == 0, ran.err
    after = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["scores"]
    assert before["scores"]["step"] == 12
    assert after["scores"]["step"] >= 12
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["scores"]
    assert best["scores"]["miou"] == max(scores["scores"]["miou"] for scores in (before, after, best))
    assert released(seglight_cli, tmp_path / "run" / "checkpoints" / "best.ckpt", tmp_path / "net").err == ""
    assert scores_of(tmp_path / "net") == best["scores"]
