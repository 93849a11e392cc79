"""`fit --seeds`: which processes it starts, what it makes of how they end, and the mean by numpy."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.__main__ import main
from seglight.commands.fit import seeds
from seglight.errors import UserError

FAKE = """
import json, os, signal, sys, time
from pathlib import Path
given = dict(zip(sys.argv[1:], sys.argv[2:]))
seed, folder = int(given["--seed_everything"]), Path(given["--run_dir"])
(folder / "checkpoints").mkdir(parents=True, exist_ok=True)
(folder / "checkpoints" / "last.ckpt").touch()
start = time.time()
if "--wait" in given:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    (folder / "ready").touch()
    time.sleep(float(given["--wait"]))
(folder / "scores.json").write_text(json.dumps({"miou": {0: 0.60, 1: 0.65, 2: 0.64}[seed]}))
entry = {"args": sys.argv[1:], "devices": os.environ.get("CUDA_VISIBLE_DEVICES"), "start": start, "end": time.time()}
(folder / "ran.json").write_text(json.dumps(entry))
sys.exit(int(given.get(f"--code{seed}", 0)))
"""


@pytest.fixture(autouse=True)
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A program in place of `seglight fit`, which notes its arguments and has a score ready."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    command = [sys.executable, str(script)]
    monkeypatch.setattr(seeds, "FIT", command)
    return command


def ran(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "ran.json").read_text())


def test_mean_and_deviation_of_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    assert seeds.main(["fit", "-c", "some.yaml", "--seeds", "0,1,2", "--run_dir", str(out), "--model.x", "3"]) == 0
    scores = np.array([0.60, 0.65, 0.64])
    written = json.loads((out / "seeds.json").read_text())
    assert written["val_miou"]["mean"] == pytest.approx(scores.mean())
    assert written["val_miou"]["deviation"] == pytest.approx(scores.std(ddof=1))
    assert written["runs"]["1"] == {"val_miou": 0.65, "run": str(out / "seed_1")}
    text = capsys.readouterr().out
    assert "3 seeds: val/miou 0.6300 ± 0.0265" in text
    for seed in range(3):
        assert str(out / f"seed_{seed}") in text
        given = ["--seed_everything", str(seed), "--run_dir", str(out / f"seed_{seed}"), "--resume"]
        assert ran(out / f"seed_{seed}")["args"] == ["-c", "some.yaml", "--model.x", "3", *given]
    assert ran(out / "seed_0")["end"] < ran(out / "seed_1")["start"], "in turn"


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    assert seeds.main(["fit", "--seeds=2", f"--run_dir={tmp_path / 'runs'}"]) == 0
    assert json.loads((tmp_path / "runs" / "seeds.json").read_text())["val_miou"] == {"mean": 0.64, "deviation": None}


@pytest.mark.parametrize("code", [2, 75])
def test_an_exit_code_is_passed_on_and_nothing_started_after_it(tmp_path: Path, code: int) -> None:
    out = tmp_path / "runs"
    assert seeds.main(["fit", "--seeds", "0,1,2", "--run_dir", str(out), "--code1", str(code)]) == code
    assert not (out / "seed_2").exists()
    assert not (out / "seeds.json").exists()


def test_a_second_call_wants_resume(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    assert seeds.main(["fit", "--seeds", "0,1", "--run_dir", str(out), "--code1", "75"]) == 75
    with pytest.raises(UserError, match="seed_0 holds a run already"):
        seeds.main(["fit", "--seeds", "0,1", "--run_dir", str(out)])
    assert seeds.main(["fit", "--seeds", "0,1", "--run_dir", str(out), "--resume", "force"]) == 0
    assert ran(out / "seed_1")["args"][-2:] == ["--resume", "force"]


def test_devices_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five devices, two a run: two runs at once, the third after them."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4,5,6,7")
    out = tmp_path / "runs"
    args = ["fit", "--seeds", "0,1,2", "--run_dir", str(out), "--trainer.devices", "2", "--wait", "1"]
    assert seeds.main(args) == 0
    runs = [ran(out / f"seed_{seed}") for seed in range(3)]
    assert [run["devices"] for run in runs[:2]] == ["3,4", "5,6"]
    assert runs[2]["devices"] in ("3,4", "5,6")
    assert max(run["start"] for run in runs[:2]) < min(run["end"] for run in runs[:2])
    assert runs[2]["start"] > min(run["end"] for run in runs[:2])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--seeds", "0,one", "--run_dir", "x"], "give whole numbers"),
        (["--seeds", "1,1", "--run_dir", "x"], "stands there twice"),
        (["--seeds", "0,1"], "add --run_dir"),
        (["--seeds", "0,1", "--run_dir", "x", "--seed_everything", "3"], "leave it out"),
    ],
)
def test_mistakes(args: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        seeds.main(["fit", *args])


def test_a_signal_reaches_the_run_and_stops_the_others(tmp_path: Path, fake: list[str]) -> None:
    out = tmp_path / "runs"
    code = (
        f"import sys; from seglight.commands.fit import seeds; seeds.FIT = {fake!r}; sys.exit(seeds.main(sys.argv[1:]))"
    )
    args = ["fit", "--seeds", "0,1", "--run_dir", str(out), "--wait", "60"]
    process = subprocess.Popen([sys.executable, "-c", code, *args])
    until(lambda: (out / "seed_0" / "ready").exists())
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 75
    assert not (out / "seed_1").exists()


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_command_line_leads_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--seeds=0,2", "--model.net=x", "--data=y", "--run_dir", str(tmp_path / "runs")]) == 0
    assert "2 seeds: val/miou 0.6200" in capsys.readouterr().out
    assert main(["fit", "--seeds=0,2", "--model.net=x", "--data=y"]) == 2
    assert "add --run_dir" in capsys.readouterr().err
