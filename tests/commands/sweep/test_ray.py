"""Trials on a real Ray cluster of two nodes, with a token; one node dies during its trial.

Covers: commands.sweep.record, commands.sweep.trial.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglight.commands.sweep.record import read_records
from tests.support.slurm import free_ports, wait_for
from tests.support.small_sweeps import lines

pytestmark = pytest.mark.slow

RAY = Path(sys.executable).with_name("ray")
EPOCHS = 16
PORT = free_ports(1)[0]
ADDRESS = f"127.0.0.1:{PORT}"

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
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Head and second node, each with one CPU, in sessions of their own."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "5e9b1c4d" * 8)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    nodes: list[subprocess.Popen[bytes]] = []
    common = [str(RAY), "start", "--block", "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    try:
        with (tmp_path / "ray.log").open("w") as log:
            for options in (["--head", f"--port={PORT}", "--include-dashboard=false"], [f"--address={ADDRESS}"]):
                nodes.append(subprocess.Popen([*common, *options], stdout=log, stderr=log, start_new_session=True))
                wait_for(lambda: count_nodes() == len(nodes), f"node {len(nodes)}", 120)
        yield nodes
    finally:
        for node in reversed(nodes):
            end(node)


def count_nodes() -> int:
    """Number of nodes in the cluster."""
    code = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
    done = subprocess.run([sys.executable, "-c", code, ADDRESS], capture_output=True, text=True, check=False)
    # Ray prints messages to the same stream
    counts = [line for line in done.stdout.splitlines() if line.isdigit()] if done.returncode == 0 else []
    return int(counts[-1]) if counts else 0


def end(node: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a node, as a loss of power does."""
    for process in [*descendants(node.pid), node.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    node.wait()


def descendants(parent: int) -> list[int]:
    """Descendants of a process."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = children.get(parent, [])
    return [*found, *(below for child in found for below in descendants(child))]


def test_a_node_dies(cluster: list[Any], tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    sweep = subprocess.Popen([sys.executable, "-c", SWEEP, str(tmp_path), ADDRESS, str(EPOCHS)])

    def epochs(number: int) -> int:
        path = trials / f"{number:04d}" / "epochs"
        return len(lines(path)) if path.exists() else 0

    wait_for(lambda: min(epochs(0), epochs(1)) >= 2, "both to train", 120)
    end(cluster[1])
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
