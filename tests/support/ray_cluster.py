"""A real Ray cluster of two nodes with one CPU each, and with a token, started and ended by this process.

`python -m tests.support.ray_cluster COMMAND ...` runs a command with a cluster of its own.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.slurm import free_ports, wait_for

RAY = Path(sys.executable).with_name("ray")
PORT = free_ports(1)[0]
ADDRESS = f"127.0.0.1:{PORT}"

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "5e9b1c4d" * 8,
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""Environment variables of the cluster and of its clients, which a test sets."""


@contextmanager
def cluster(log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start head and second node, in sessions of their own; in the end they are killed."""
    nodes: list[subprocess.Popen[bytes]] = []
    common = [str(RAY), "start", "--block", "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    try:
        with log.open("w") as out:
            for options in (["--head", f"--port={PORT}", "--include-dashboard=false"], [f"--address={ADDRESS}"]):
                nodes.append(subprocess.Popen([*common, *options], stdout=out, stderr=out, start_new_session=True))
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
        with suppress(ProcessLookupError):
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


if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)  # count_nodes needs the token, too
    with tempfile.TemporaryDirectory() as place, cluster(Path(place) / "log"):
        sys.exit(subprocess.call(sys.argv[1:], env={**os.environ, "RAY_ADDRESS": ADDRESS}))
