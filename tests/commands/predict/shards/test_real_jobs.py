"""Shards as real jobs on this machine, under a real Slurm and on a real Ray cluster, of which some are killed."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.executors.job import LOCK, STOP, is_running
from seglight.training.resume.lock import holder_of
from tests.support import ray_cluster
from tests.support.exported import red
from tests.support.slurm import Slurm, cluster, missing, wait_for

pytestmark = pytest.mark.slow

SIDE = 500


class Command:
    """`seglight predict` of numbered images by a file that needs no torch.

    Args:
        folder: Empty folder for the images, the model and the outputs.
        count: Number of images.
        options: Further options of the command.
    """

    def __init__(self, folder: Path, count: int, *options: str) -> None:
        self.folder = folder
        self.count = count
        self.options = options
        self.out = folder / "out"
        self.shards = self.out / ".predict"
        (folder / "images").mkdir()
        for number in range(count):
            Image.fromarray(scene(number)).save(folder / "images" / f"{number:04d}.png", compress_level=1)
        red(folder / "red.onnx")

    def start(self) -> subprocess.Popen[str]:
        words = ["predict", self.folder / "red.onnx", self.folder / "images", "--out", self.out, "--save", "csv"]
        return subprocess.Popen(
            [sys.executable, "-m", "seglight", *map(str, words), *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        )

    def hold(self) -> list[int]:
        """Stop each of two jobs as soon as it has written a label map; returns their process groups."""
        groups: dict[int, int] = {}
        end = time.monotonic() + 120
        while len(groups) < 2:
            assert time.monotonic() < end
            for shard, first in ((0, 0), (1, self.count // 2)):
                if shard not in groups and (self.out / f"{first:04d}.png").exists():
                    groups[shard] = int((self.shards / f"{shard:04d}" / LOCK).read_text())
                    os.killpg(groups[shard], signal.SIGSTOP)
            time.sleep(0.005)
        assert self.written() < self.count
        return [groups[shard] for shard in range(2)]  # either may have written first

    def both_write(self) -> bool:
        """Whether the first label map of each of two shards exists."""
        return all((self.out / f"{number:04d}.png").exists() for number in (0, self.count // 2))

    def both_run(self) -> bool:
        """Whether each of two jobs holds its shard, and one has written a label map."""
        return self.written() > 0 and all((self.shards / f"{shard:04d}" / LOCK).exists() for shard in range(2))

    def written(self) -> int:
        return len(list(self.out.glob("*.png")))

    def check(self) -> None:
        """All label maps and rows of the table are as worked out from the images, and nothing else is there."""
        for number in range(self.count):
            with Image.open(self.out / f"{number:04d}.png") as found:
                assert np.array_equal(np.asarray(found), scene(number)[..., 0] > 127)
        with (self.out / "shares.csv").open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        assert [row[0] for row in rows] == [f"{number:04d}.png" for number in range(self.count)]
        assert [float(row[2]) for row in rows] == [(number + 1) / SIDE for number in range(self.count)]
        assert len(list(self.out.rglob("*"))) == self.count + 1


def scene(number: int) -> NDArray[np.uint8]:
    """An image whose first rows are red, one more in each image."""
    pixels = np.full((SIDE, SIDE, 3), number % 100, np.uint8)
    pixels[: number + 1, :, 0] = 200
    return pixels


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, 200, "--parallel", "2")


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[str, str]:
    out, err = process.communicate(timeout=seconds)
    return out, err


def killed(process: subprocess.Popen[str]) -> None:
    """Kill a command; its jobs run on, with the other ends of its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_killed_job_runs_again(command: Command) -> None:
    process = command.start()
    first, second = command.hold()
    os.killpg(first, signal.SIGKILL)
    os.killpg(second, signal.SIGCONT)
    out, err = ended(process)
    assert process.returncode == 0, err
    assert "shard 0000: its job vanished" in err
    assert err.count("shard 0001 running") == 1
    assert out == f"200 label maps in {command.out}\n", "none of them is from before"
    command.check()


def test_ctrl_c_stops_the_jobs_and_the_command_continues(command: Command) -> None:
    process = command.start()
    groups = command.hold()
    process.send_signal(signal.SIGINT)
    wait_for(lambda: all((command.shards / f"{shard:04d}" / STOP).exists() for shard in range(2)), "both to be asked")
    for group in groups:
        os.killpg(group, signal.SIGCONT)
    out, err = ended(process)
    assert process.returncode == 130
    assert err.endswith("seglight: stopped: repeat the command to continue from here\n")
    assert not out
    assert not any(is_running(command.shards / f"{number:04d}") for number in range(2))
    written = command.written()
    assert written < command.count
    process = command.start()
    out, err = ended(process)
    assert (process.returncode, out) == (0, f"200 label maps in {command.out}, {written} of them from before\n"), err
    command.check()


def test_jobs_of_a_killed_command_run_on(command: Command) -> None:
    first = command.start()
    groups = command.hold()
    killed(first)
    try:
        second = command.start()
        wait_for(lambda: (holder := holder_of(command.shards)) is not None and holder.pid == second.pid, "its lock")
    finally:
        for group in groups:
            os.killpg(group, signal.SIGCONT)
    out, err = ended(second)
    assert (second.returncode, out) == (0, f"200 label maps in {command.out}\n"), err
    assert "running" not in err, "no job was started"
    assert err.count("finished") == 2
    command.check()


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as running:
        yield running


def test_slurm(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is killed while its jobs wait; they are taken over, then preempted, and requeued."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    monkeypatch.setenv("SBATCH_PARTITION", "low")
    command = Command(tmp_path, 500, "--executor", "slurm", "--parallel", "2")

    def jobs() -> dict[str, str]:
        lines = slurm.run("squeue", "--noheader", "--array", "--partition=low", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    before = slurm.submit("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 600")
    slurm.wait(before, "RUNNING")
    first = command.start()
    wait_for(lambda: list(jobs().values()) == ["PENDING"] * 2, "both jobs to wait")
    wait_for(lambda: all(job in read_jobs(command) for job in jobs()), "their names to be recorded")
    killed(first)
    waiting = jobs()
    assert {job.partition("_")[0] for job in waiting} == {min(waiting).partition("_")[0]}, "one array"
    second = command.start()
    wait_for(lambda: (holder := holder_of(command.shards)) is not None and holder.pid == second.pid, "its lock")
    slurm.run("scancel", before)
    wait_for(command.both_write, "both shards")
    assert jobs().keys() == waiting.keys(), "those of the first command"
    slurm.submit("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
    wait_for(lambda: "PENDING" in jobs().values(), "one to be preempted")
    written = command.written()
    assert written < command.count
    out, err = ended(second, 180)
    assert (second.returncode, out) == (0, f"500 label maps in {command.out}\n"), err
    assert "running" not in err, "all was done by the jobs of the first command"
    command.check()


def test_slurm_loses_a_job_and_its_node(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command starts a killed job again; Slurm itself requeues those of a node that goes down."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    command = Command(tmp_path, 500, "--executor", "slurm", "--parallel", "2")
    process = command.start()
    wait_for(command.both_write, "both shards")
    jobs = slurm.run("squeue", "--noheader", "--array", "--format=%i").split()
    slurm.run("scancel", "--signal=KILL", f"{min(jobs)}.0")
    wait_for(lambda: slurm.run("squeue", "--noheader", "--array", "--format=%i").split() == [max(jobs)], "its end")
    node = slurm.run("sinfo", "--noheader", "--format=%n")
    slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")  # which comes back by itself
    assert command.written() < command.count
    out, err = ended(process, 180)
    assert (process.returncode, out) == (0, f"500 label maps in {command.out}\n"), err
    assert "shard 0000: state FAILED of Slurm" in err
    assert err.count("shard 0000 running") == 2
    command.check()


def read_jobs(command: Command) -> str:
    """What is recorded of the jobs of all shards."""
    return "".join(path.read_text() for path in command.shards.glob("*/job.json"))


def test_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two nodes dies: its shard continues on the other one."""
    for name, value in ray_cluster.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.ADDRESS)
    command = Command(tmp_path, 500, "--executor", "ray", "--parallel", "2")
    with ray_cluster.cluster(tmp_path / "ray.log") as nodes:
        process = command.start()
        wait_for(command.both_run, "both shards", 120)
        ray_cluster.end(nodes[1])
        assert command.written() < command.count
        out, err = ended(process, 180)
        assert process.returncode == 0, err
        assert err.count("its job vanished") == 1
        assert out == f"500 label maps in {command.out}\n", "none of them is from before"
        command.check()
