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


def test_mistakes(tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert "which sweep?" in seglight_cli("sweep", "--out", out).err
    assert "which sweep?" in seglight_cli("sweep", "--out", out, "--resume").err
    assert "executor" in seglight_cli("sweep", "--config", "x", "--out", out, "--executor", "cloud").err
    ran = seglight_cli("sweep", "--config", tmp_path / "none.yaml", "--out", out)
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert "none.yaml: No such file" in ran.err
    out.mkdir(exist_ok=True)
    (out / "sweep.yaml").write_text(written(tmp_path).read_text())
    assert "holds a sweep already" in seglight_cli("sweep", "--config", tmp_path / "sweep.yaml", "--out", out).err
    changed = written(tmp_path, seed=3, trials=9)
    assert "sweep.yaml: seed: not as in" in seglight_cli("sweep", "-c", changed, "--out", out, "--resume").err
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    assert 'pip install "seglight[sweep]"' in seglight_cli("sweep", "--config", "x", "--out", tmp_path / "new").err


@pytest.mark.slow
def test_real_trainings_killed_and_gone_on_with(tmp_path: Path) -> None:
    """Two candidates; the coordinator is killed, then a training, then all is told to stop: the scores are the same."""
    recipe = yaml.safe_load(resumable.RECIPE)
    recipe["model"]["net"]["init_args"] = {"seconds": 0.3}
    calm, wild = (tmp_path / name for name in ("calm", "wild"))
    space = {"model.optimizer.init_args.lr": {"log": [1e-3, 1e-1]}}
    path = written(tmp_path, trials=2, space=space, running={"pause": 0.0, "parallel": 2})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "seglight", "sweep", "--config", str(path), "--resume", "--out"]
    log = (tmp_path / "log").open("w")

    def start(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, str(out)], env=environment, stdout=log, stderr=log)

    def metrics(number: int) -> Path:
        return wild / "trials" / f"{number:04d}" / "metrics.jsonl"

    assert start(calm).wait(200) == 0
    first = start(wild)
    wait_for(lambda: metrics(0).exists() and metrics(1).exists(), "both to train", 120)
    first.kill()
    first.wait()
    os.killpg(int((wild / "trials" / "0000" / OWN / "lock").read_text()), signal.SIGKILL)
    assert start(wild).wait(200) == 0
    states = [[(r.state, r.params, r.reports, r.values) for r in read_records(out / "trials")] for out in (calm, wild)]
    assert states[0] == states[1]
    assert [state[0] for state in states[0]] == ["finished", "finished"]
    for out in (calm, wild):
        assert (out / "report.html").exists()
        assert yaml.safe_load((out / "best.yaml").read_text())["model"]["optimizer"]["init_args"]["lr"] > 0
