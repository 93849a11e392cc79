"""`seglight sweep` on the command line: wrong arguments, and real trainings, one killed with its coordinator."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seglight.commands.sweep import command as sweep
from seglight.commands.sweep.cleanup import RESUME_KEYS
from seglight.commands.sweep.record import JOB_FOLDER, read_records
from tests.support import resumable
from tests.support.forked_sweeps import _forks  # noqa: F401
from tests.support.slurm import wait_for
from tests.support.small_sweeps import written

SLOWLY = "resumable.Net, init_args: {seconds: 0.3}}"


def test_wrong_arguments(tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert "no sweep is given" in seglight_cli("sweep", "--out", out).err
    assert "no sweep is given" in seglight_cli("sweep", "--out", out, "--resume").err
    assert "executor" in seglight_cli("sweep", "--config", "x", "--out", out, "--executor", "cloud").err
    ran = seglight_cli("sweep", "--config", tmp_path / "none.yaml", "--out", out)
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert "none.yaml: No such file" in ran.err
    (tmp_path / "file").touch()
    assert (
        "file: nothing can be written there (File exists)"
        in seglight_cli("sweep", "--config", "x", "--out", tmp_path / "file").err
    )
    out.mkdir(exist_ok=True)
    (out / "sweep.yaml").write_text(written(tmp_path).read_text())
    assert "already holds a sweep" in seglight_cli("sweep", "--config", tmp_path / "sweep.yaml", "--out", out).err
    changed = written(tmp_path, seed=3, trials=9)
    assert f"the sweep in {out} is another one" in seglight_cli("sweep", "-c", changed, "--out", out, "--resume").err
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    assert 'pip install "seglight[sweep]"' in seglight_cli("sweep", "--config", "x", "--out", tmp_path / "new").err


@pytest.mark.slow
@pytest.mark.usefixtures("_forks")
def test_overrides_and_files_that_are_kept(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """Real trainings with averaged weights: the overrides apply to each, and only the best keeps its weights."""
    out, path = tmp_path / "out", written(tmp_path, trials=2)
    noise = "--data.init_args.augmentation.extra=[{class_path: albumentations.GaussNoise}]"
    epoch = (noise, "--trainer.max_epochs", 1, "--trainer.limit_train_batches=2")
    ran = seglight_cli("sweep", "-c", path, "--out", out, *epoch)
    assert (ran.rc, ran.err) == (0, "")
    log = (out / "trials" / "0000" / JOB_FOLDER / "log.txt").read_text()
    assert "Warning" not in log, "such as about a transform whose ranges are tuples"
    recipes = [yaml.safe_load(file.read_text()) for file in (*out.glob("trials/*/config.yaml"), out / "best.yaml")]
    assert [recipe["trainer"]["max_epochs"] for recipe in recipes] == [1, 1, 1]
    assert " --trainer.max_epochs 1 --trainer.limit_train_batches 2</code>" in (out / "report.html").read_text()

    best = max(read_records(out / "trials"), key=lambda record: record.values or [])
    (kept,) = out.glob("trials/*/checkpoints/*")
    assert kept == out / "trials" / f"{best.number:04d}" / "checkpoints" / "best.ckpt"
    content = torch.load(kept, weights_only=True)
    assert not content.keys() & set(RESUME_KEYS)
    assert "MB of checkpoints (running.keep: all keeps them)" in ran.out
    for name in ("config.yaml", "metrics.jsonl", "scores.json", "image_scores.npz", "environment.json"):
        assert len(list(out.glob(f"trials/*/{name}"))) == 2, name
    ran = seglight_cli("validate", "--config", kept.parents[1] / "config.yaml", "--ckpt_path", kept)
    assert (ran.rc, f"miou {best.values[0]:.4f}" in ran.out) == (0, True), ran

    more = written(tmp_path, trials=3)
    ran = seglight_cli("sweep", "-c", more, "--out", out, "--resume", "--trainer.max_epochs=2")
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert "trainer.max_epochs: 1 -> 2" in ran.err
    ran = seglight_cli("sweep", "-c", more, "--out", out, "--resume", "--data.init_args.num_workers", 1)
    assert ran.rc == 0, ran.err
    assert [record.state for record in read_records(out / "trials")] == ["finished"] * 3
    third = yaml.safe_load((out / "trials" / "0002" / "config.yaml").read_text())
    assert (third["trainer"]["max_epochs"], third["data"]["init_args"]["num_workers"]) == (1, 1)
    assert len(list(out.glob("trials/*/checkpoints/*"))) == 1


@pytest.mark.usefixtures("_forks")
def test_a_sweep_ends_if_all_trials_fail(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """A data root that does not exist: reported at the first trial, with the log, and the third trial is the last."""
    path = written(tmp_path, trials=9, running={"pause": 99})
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    recipe["data"] = {"class_path": "seglight.data.CamVidDataModule", "init_args": {"augmentation": {"crop_size": 32}}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "out"
    ran = seglight_cli("sweep", "-c", path, "--out", out, "--data.init_args.root", tmp_path / "nowhere")
    assert ran.rc == 2
    first, last = ran.err.splitlines()
    assert first.startswith("seglight: trial 0000: failed, exit code 2: ")
    assert str(tmp_path / "nowhere") in first
    assert str(out / "trials" / "0000" / JOB_FOLDER / "log.txt") in first
    assert last.startswith("seglight: error: all 3 trials failed for the same cause: ")
    assert str(tmp_path / "nowhere") in last
    assert "failed      0000, 0001, 0002: exit code 2: " in ran.out
    page = (out / "report.html").read_text()
    assert page.count("exit code 2: ") == 3


@pytest.mark.slow
def test_a_real_training_killed_with_its_coordinator(tmp_path: Path) -> None:
    """It resumes where it stopped, and ends with the weights of a training that was not interrupted."""
    space = {"model.optimizer.init_args.lr": {"log": [1e-3, 1e-1]}}
    path = written(tmp_path, trials=1, space=space, running={"keep": "all"})
    (tmp_path / "recipe.yaml").write_text(resumable.RECIPE.replace("resumable.Net}", SLOWLY))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    out, run = tmp_path / "out", tmp_path / "out" / "trials" / "0000"
    command = [sys.executable, "-m", "seglight", "sweep", "--config", str(path), "--resume", "--out", str(out)]
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for((run / "metrics.jsonl").exists, "it to train", 200)
        first.kill()
        first.wait()
        os.killpg(int((run / JOB_FOLDER / "lock").read_text()), signal.SIGKILL)
    with (tmp_path / "log").open("a") as log:
        assert (
            subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=300, check=False).returncode == 0
        )
    (record,) = read_records(out / "trials")
    assert (record.state, len(record.reports)) == ("finished", 3)

    rate = record.params["model.optimizer.init_args.lr"]
    single = resumable.fit(tmp_path / "single", "--model.optimizer.init_args.lr", rate)
    assert resumable.wait(single) == 0
    assert resumable.differences(resumable.final(run), resumable.final(tmp_path / "single")) == []
    assert yaml.safe_load((out / "best.yaml").read_text())["model"]["optimizer"]["init_args"]["lr"] == rate
    assert (out / "report.html").exists()
