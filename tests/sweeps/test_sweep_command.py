"""`seglight sweep` as it is typed: its mistakes, and real trainings that are killed with their coordinator."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seglight.commands import sweep
from seglight.sweeps.record import OWN, read_records
from tests import resumable
from tests.slurm.cluster import wait_for
from tests.sweeps.test_options import written

SLOWLY = "resumable.Net, init_args: {seconds: 0.3}}"


def test_mistakes(tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert "which sweep?" in seglight_cli("sweep", "--out", out).err
    assert "which sweep?" in seglight_cli("sweep", "--out", out, "--resume").err
    assert "executor" in seglight_cli("sweep", "--config", "x", "--out", out, "--executor", "cloud").err
    ran = seglight_cli("sweep", "--config", tmp_path / "none.yaml", "--out", out)
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert "none.yaml: No such file" in ran.err
    (tmp_path / "file").touch()
    assert "file: File exists" in seglight_cli("sweep", "--config", "x", "--out", tmp_path / "file").err
    out.mkdir(exist_ok=True)
    (out / "sweep.yaml").write_text(written(tmp_path).read_text())
    assert "holds a sweep already" in seglight_cli("sweep", "--config", tmp_path / "sweep.yaml", "--out", out).err
    changed = written(tmp_path, seed=3, trials=9)
    assert "another sweep than that in" in seglight_cli("sweep", "-c", changed, "--out", out, "--resume").err
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    assert 'pip install "seglight[sweep]"' in seglight_cli("sweep", "--config", "x", "--out", tmp_path / "new").err


@pytest.mark.slow
def test_a_real_training_killed_with_its_coordinator(tmp_path: Path) -> None:
    """It goes on where it was, to the scores of one that nobody disturbed."""
    space = {"model.optimizer.init_args.lr": {"log": [1e-3, 1e-1]}}
    path = written(tmp_path, trials=1, space=space)
    (tmp_path / "recipe.yaml").write_text(resumable.RECIPE.replace("resumable.Net}", SLOWLY))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    out, run = tmp_path / "out", tmp_path / "out" / "trials" / "0000"
    command = [sys.executable, "-m", "seglight", "sweep", "--config", str(path), "--resume", "--out", str(out)]
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for((run / "metrics.jsonl").exists, "it to train", 200)
        first.kill()
        first.wait()
        os.killpg(int((run / OWN / "lock").read_text()), signal.SIGKILL)
    with (tmp_path / "log").open("a") as log:
        assert (
            subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=300, check=False).returncode == 0
        )
    (record,) = read_records(out / "trials")
    assert (record.state, len(record.reports)) == ("finished", 3)

    rate = record.params["model.optimizer.init_args.lr"]
    alone = resumable.fit(tmp_path / "alone", "--model.optimizer.init_args.lr", rate)
    assert resumable.wait(alone) == 0
    assert resumable.differences(resumable.final(run), resumable.final(tmp_path / "alone")) == []
    assert yaml.safe_load((out / "best.yaml").read_text())["model"]["optimizer"]["init_args"]["lr"] == rate
    assert (out / "report.html").exists()
