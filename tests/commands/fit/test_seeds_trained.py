"""`fit --seeds` with real trainings: each is the run that its seed has alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import resumable

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.usefixtures("_imported")
def test_two_seeds(tmp_path: Path) -> None:
    recipe = resumable.write_recipe(tmp_path)
    assert resumable.wait(resumable.fit(tmp_path / "alone", "--seed_everything", 1)) == 0
    command = [sys.executable, "-m", "seglight", "fit", "--config", recipe, "--seeds", "0,1", "--run_dir", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    folders = [tmp_path / "runs" / f"seed_{seed}" for seed in (0, 1)]
    mious = np.array([json.loads((folder / "scores.json").read_text())["miou"] for folder in folders])
    assert mious[0] != mious[1]
    assert f"2 seeds: val/miou {mious.mean():.4f} ± {mious.std(ddof=1):.4f}" in ran.stdout
    assert resumable.differences(resumable.final(folders[1]), resumable.final(tmp_path / "alone")) == []
