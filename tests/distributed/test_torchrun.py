"""The documented torchrun line on two processes, without GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import resumable

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_torchrun_trains_as_lightnings_own_launcher(tmp_path: Path) -> None:
    recipe = resumable.write_recipe(tmp_path)
    assert [resumable.wait(child) for child in resumable.fit_in_two(tmp_path / "alone")] == [0, 0]

    run_dir = tmp_path / "run"
    line = "-m torch.distributed.run --standalone --nproc-per-node 2 -m seglight fit --resume"
    options = "--trainer.devices 2 --trainer.strategy ddp --data.init_args.batch_size 2"
    done = subprocess.run(
        [sys.executable, *line.split(), "--config", recipe, "--run_dir", run_dir, *options.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "global batch 4 = 2 devices x 2 images x 1 accumulated, lr 0.01" in done.stdout
    assert resumable.differences(resumable.final(run_dir), resumable.final(tmp_path / "alone")) == []
