"""Executors with real processes: working directory, signals, devices; errors of Ray, states of Slurm.

Covers: commands.executors.endings, commands.executors.executor, commands.executors.job, commands.executors.local,
commands.executors.ray, commands.executors.slurm.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from seglight.commands.executors.endings import described
from seglight.commands.executors.executor import Job, Wording
from seglight.commands.executors.job import exit_code, run
from seglight.commands.executors.local import LocalExecutor
from seglight.commands.executors.ray import RayExecutor
from seglight.commands.executors.slurm import SOON, SlurmExecutor
from seglight.errors import UserError

WORDING = Wording("running.ray", "resume with --resume")

SLEEPER = """
import pathlib, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
"""Stops with the exit code of `fit` at a signal; a file shows that it handles signals."""

TASK = "import sys; from pathlib import Path; from seglight.commands.executors.slurm import run_task; "
TASK += "sys.exit(run_task(Path(sys.argv[1]), [([sys.executable, '-c', sys.argv[2], sys.argv[3]], 'log.txt')], Path()))"


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_commands_run_in_the_directory_of_the_sweep(tmp_path: Path) -> None:
    """Ray's workers have working directories of their own."""
    (tmp_path / "project").mkdir()
    words = [sys.executable, "-c", "from pathlib import Path; Path('here').touch()"]
    assert run(tmp_path / "trial", [(words, "log.txt")], tmp_path / "project") == 0
    assert (tmp_path / "project" / "here").exists()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_signal_to_a_task_is_forwarded_to_its_training(tmp_path: Path, rank: str) -> None:
    """Slurm sends its warning to the tasks, but with cgroups not to the processes that they started."""
    for name, script in (("squeue", "echo RUNNING"), ("scontrol", f"echo $@ >> {tmp_path}/asked")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "SLURM_PROCID": rank, "SLURM_JOB_ID": "7", "PATH": str(tmp_path)}
    environment.pop("SLURM_ARRAY_TASK_ID", None)
    folder, ready = tmp_path / "trial", tmp_path / "ready"
    task = subprocess.Popen([sys.executable, "-c", TASK, str(folder), SLEEPER, str(ready)], env=environment)
    until(ready.exists)
    task.send_signal(signal.SIGUSR1)
    assert task.wait(30) == 75
    first = rank == "0"
    assert exit_code(folder) == (75 if first else None), "the first task writes the files of the trial"
    assert (tmp_path / "asked").exists() == first
    assert not first or (tmp_path / "asked").read_text() == "requeue 7\n"


def sleeping(folder: Path, name: str) -> Job:
    """A job that handles signals as soon as the file `ready` exists."""
    own = folder / name / "trial"
    return Job(own, [([sys.executable, "-c", SLEEPER, str(folder / name / "ready")], "log.txt")])


def start(executor: LocalExecutor, folder: Path, *names: str) -> list[Job]:
    jobs = [sleeping(folder, name) for name in names]
    executor.submit(jobs)
    for name in names:
        until((folder / name / "ready").exists)
    return jobs


def end(jobs: list[Job]) -> None:
    for job in jobs:
        os.killpg(int((job.folder / "lock").read_text()), signal.SIGKILL)


def test_jobs_of_a_killed_coordinator_keep_their_slots(tmp_path: Path) -> None:
    """The coordinator is killed before it records the slots: the next one reads them from the folders of the jobs."""
    first = LocalExecutor(["0", "1", "2"])
    jobs = start(first, tmp_path, "a", "b")
    try:
        second = LocalExecutor(["0", "1", "2"])
        assert [second.poll(Job(job.folder, job.commands)) for job in jobs] == [None, None]
        assert (second.free, second.slots) == (["2"], 3)
        wide = LocalExecutor(["0,1", "2,3"])  # a sweep that is resumed with more devices per trial
        assert [wide.poll(Job(job.folder, job.commands)) for job in jobs] == [None, None]
        assert wide.free == ["2,3"]
    finally:
        end(jobs)
    for job in jobs:
        until(lambda job=job: second.poll(job) == "gone")
        first.started[str(job.folder)].wait()
    assert sorted(second.free) == ["0", "1", "2"]


def test_a_job_may_occupy_the_devices_of_several_slots(tmp_path: Path) -> None:
    first = LocalExecutor(["0,1"])
    jobs = start(first, tmp_path, "a")
    try:
        second = LocalExecutor(["0", "1"])
        assert second.poll(jobs[0]) is None
        assert (second.free, second.slots) == ([], 1)
    finally:
        end(jobs)
    until(lambda: second.poll(jobs[0]) == "gone")
    assert sorted(second.free) == ["0", "1"]
    first.started[str(jobs[0].folder)].wait()


def replace_ray(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """Replace the module `ray` by one with only these functions."""
    ray, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    exceptions.RayError = type("RayError", (Exception,), {})  # type: ignore[attr-defined]
    for name, function in functions.items():
        setattr(ray, name, function)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)


def test_errors_of_ray_are_user_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown_token(**options: Any) -> None:
        raise sys.modules["ray.exceptions"].RayError("the token is another one")

    def no_resource(**options: Any) -> None:
        raise ValueError("num_cpu: no such option")

    def no_cluster(**options: Any) -> None:
        raise ConnectionError("nobody answers")

    replace_ray(monkeypatch, init=unknown_token)
    with pytest.raises(UserError, match=r"running\.ray: the token is another one"):
        RayExecutor({}, WORDING)
    replace_ray(monkeypatch, init=no_cluster)
    with pytest.raises(UserError, match=r"running\.ray: nobody answers"):
        RayExecutor({"address": "auto"}, WORDING)
    replace_ray(monkeypatch, init=lambda **_: None, remote=no_resource)
    with pytest.raises(UserError, match=r"running\.ray: num_cpu"):
        RayExecutor({"resources": {"num_cpu": 1}}, WORDING)
    with pytest.raises(UserError, match=r"running\.ray: "):
        RayExecutor({"resources": 3}, WORDING)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'pip install "seglight\[ray\]"'):
        RayExecutor({}, WORDING)


def test_rays_tasks_get_the_directory_of_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Any] = []

    def task(*arguments: Any) -> SimpleNamespace:
        received.extend(arguments)
        return SimpleNamespace(hex=lambda: "1f")

    replace_ray(monkeypatch, init=lambda **_: None, remote=lambda **_: lambda _: SimpleNamespace(remote=task))
    monkeypatch.chdir(tmp_path)
    assert RayExecutor({}, WORDING).submit([Job(tmp_path / "trial", [])]) == ["1f"]
    assert received == [tmp_path / "trial", [], tmp_path]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmExecutor:
    """An executor whose controller says that job 7 is in the state which the file `state` holds."""
    for name, script in (("srun", "true"), ("squeue", f"echo 7 $(cat {tmp_path}/state)")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return SlurmExecutor(tmp_path / "slurm", {}, WORDING, interval=3600)


def test_the_end_of_a_job_of_slurm_is_seen_soon(tmp_path: Path, slurm: SlurmExecutor) -> None:
    """The controller is asked again as soon as there is an exit code, and not each time."""
    job = Job(tmp_path / "job", [], "7")
    (tmp_path / "state").write_text("RUNNING")
    assert slurm.poll(job) is None
    assert run(job.folder, [], tmp_path) == 0
    assert slurm.poll(job) is None
    (tmp_path / "state").write_text("COMPLETED")
    assert slurm.poll(job) is None, "it was asked less than a second ago"
    slurm.queried_at -= SOON
    assert slurm.poll(job) == 0


def test_a_job_that_slurm_ends_without_an_exit_code(tmp_path: Path, slurm: SlurmExecutor) -> None:
    (tmp_path / "state").write_text("OUT_OF_MEMORY")
    ended = slurm.poll(Job(tmp_path / "job", [], "7"))
    assert ended is not None
    assert described(ended) == "state OUT_OF_MEMORY of Slurm"
    assert described(-9) == "exit code -9"
