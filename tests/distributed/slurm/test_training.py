"""A training on two tasks that a job of higher priority drives out three times ends as one that nobody disturbed."""

import itertools
import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support import resumable
from tests.support.slurm import Slurm, wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "configs" / "cluster" / "slurm.sh"


def last_step(run_dir: Path) -> int:
    """Of those that a run has logged."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


@pytest.mark.timeout(900)
def test_three_times_driven_out(slurm: Slurm, tmp_path: Path) -> None:
    recipe = resumable.write_recipe(tmp_path)
    assert [resumable.wait(child) for child in resumable.fit_in_two(tmp_path / "alone")] == [0, 0]

    out = tmp_path / "out"
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    export = "ALL," + ",".join(f"{key}={value}" for key, value in variables.items())
    # so many seconds a step that there is a time to come between two
    options = ("--trainer.strategy=ddp", "--data.init_args.batch_size=2", "--model.net.init_args.seconds=0.4")
    job = slurm.submit(
        f"--export={export}", "--ntasks-per-node=2", f"--chdir={tmp_path}", f"--output={out}", SCRIPT,
        "--config", recipe, *options,
    )  # fmt: skip
    run_dir = tmp_path / "runs" / f"slurm-{job}"

    looks = itertools.count()

    def is_at(step: int) -> bool:
        if next(looks) % 20 == 0:  # it takes a process
            assert slurm.show(job)["JobState"] != "FAILED", out.read_text()
        return last_step(run_dir) >= step

    for restarts in range(1, 4):
        step = last_step(run_dir) + 1
        wait_for(partial(is_at, step), f"step {step} in {out}", 200)
        slurm.submit("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=true")
        wait_for(lambda times=str(restarts): slurm.show(job)["Restarts"] == times, "it to leave", 60)
    slurm.wait(job, "COMPLETED", seconds=200)

    stops = [int(line.split()[4]) for line in out.read_text().splitlines() if "stopped after step" in line]
    assert len(stops) == 3
    assert 0 < stops[0] < stops[1] < stops[2] < 18
    assert resumable.differences(resumable.final(run_dir), resumable.final(tmp_path / "alone")) == []
