"""Trials on a real Ray cluster of two nodes, with a token; one node dies during its trial.

Covers: commands.sweep.record, commands.sweep.trial.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglight.commands.sweep.record import read_records
from tests.support.ray_cluster import ADDRESS, ENVIRONMENT, cluster, count_nodes, end
from tests.support.slurm import wait_for
from tests.support.small_sweeps import lines

pytestmark = pytest.mark.slow

EPOCHS = 16

SWEEP = """
import sys
from pathlib import Path
from seglight.commands.executors.executor import Wording
from seglight.commands.executors.ray import RayExecutor
from tests.support.small_sweeps import coordinator, small_sweep
folder = Path(sys.argv[1])
executor = RayExecutor({"address": sys.argv[2]}, Wording("running.ray", "resume with --resume"))
run = coordinator(folder, small_sweep(trials=2, running={"parallel": 2}), int(sys.argv[3]), executor, seconds=0.5)
sys.exit(run.run())
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with cluster(tmp_path / "ray.log") as running:
        yield running


def test_a_node_dies(nodes: list[Any], tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    sweep = subprocess.Popen([sys.executable, "-c", SWEEP, str(tmp_path), ADDRESS, str(EPOCHS)])

    def epochs(number: int) -> int:
        path = trials / f"{number:04d}" / "epochs"
        return len(lines(path)) if path.exists() else 0

    wait_for(lambda: min(epochs(0), epochs(1)) >= 2, "both to train", 120)
    end(nodes[1])
    assert sweep.wait(200) == 0
    records = read_records(trials)
    assert [record.state for record in records] == ["finished", "finished"]
    starts = sorted(lines(trials / f"{number:04d}" / "starts") for number in range(2))
    assert len(starts[0]) + len(starts[1]) == 3, "one of them was started twice"
    again = max(starts, key=len)
    assert 2 <= again[1] < EPOCHS, "resumed from a checkpoint in the middle of the trial"
    for number in range(2):
        trained = lines(trials / f"{number:04d}" / "epochs")
        assert sorted(set(trained)) == list(range(EPOCHS))
        # one more if the node died between an epoch and its checkpoint
        assert len(trained) - EPOCHS in ((0, 1) if len(lines(trials / f"{number:04d}" / "starts")) == 2 else (0,))
    assert count_nodes() == 1, "the trial resumed on the node that was left"
    assert [record.failures for record in records] == [0, 0]
