"""Runs that are killed at random moments, many times, and run into a full disk; they leave what others leave."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from tests.support.resumable import differences, final, fit, fit_in_two, wait, write_recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_imported")]

MOMENTS = 20
SLOWLY = ("--model.net.init_args.seconds", 0.03, "--model.net.init_args.eval_seconds", 0.03)


def starts(log: Path) -> int:
    """Trainings that a log tells of."""
    return log.read_text().count("M parameters") if log.exists() else 0


def begin(run_dir: Path, processes: int, workers: int) -> tuple[BaseProcess, ...]:
    """Start a run or resume it, and wait for its training."""
    log = run_dir.parent / f"{run_dir.name}.log"
    before, options = starts(log), (*SLOWLY, "--data.init_args.num_workers", workers)
    children = (fit(run_dir, *options),) if processes == 1 else fit_in_two(run_dir, *options)
    deadline = time.monotonic() + 60
    while starts(log) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return children


def strike(children: Sequence[BaseProcess], rng: random.Random) -> None:
    """SIGKILL for all, or SIGTERM for one process and its workers, unless they are done already."""
    if rng.random() < 0.5:
        struck, number = list(children), signal.SIGKILL
    else:
        struck, number = [rng.choice(children)], signal.SIGTERM
    for child in struck:
        assert child.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (1, 2), (2, 0)])
def test_twenty_random_moments(processes: int, workers: int, tmp_path: Path) -> None:
    """As many runs as it takes; where a run was struck decides the clock, and how often a generator."""
    write_recipe(tmp_path)
    for child in begin(tmp_path / "whole", processes, 0):
        assert wait(child) == 0, (tmp_path / "whole.log").read_text()
    undisturbed, rng, struck, run = final(tmp_path / "whole"), random.Random(processes + workers), 0, 0
    codes: list[int] = []
    while struck < MOMENTS:
        run_dir, ended = tmp_path / f"run{run}", [1]
        while any(ended):
            children = begin(run_dir, processes, workers)
            if struck < MOMENTS and ended != [0]:
                time.sleep(rng.uniform(0, 1.5))
                strike(children, rng)
            ended = [wait(child) for child in children]
            log = (tmp_path / f"{run_dir.name}.log").read_text()
            # one of two processes may be done when both are killed
            assert set(ended) in ({0}, {75}, {-9}, {0, -9}), log
            struck += any(ended)
            codes += ended
        assert differences(final(run_dir), undisturbed) == [], log
        run += 1
    assert {75, -9} <= set(codes)


def test_other_numbers_of_processes(tmp_path: Path) -> None:
    """Four samples a step all the same: in one process first, then in two, then in one again."""
    write_recipe(tmp_path)
    run_dir = tmp_path / "run"
    for processes in (1, 2):
        children = begin(run_dir, processes, 0)
        time.sleep(0.3)
        children[0].terminate()
        assert [wait(child) for child in children] == [75] * processes
    for child in begin(run_dir, 1, 0):
        assert wait(child) == 0
    log = (tmp_path / "run.log").read_text()
    assert "2 x 2 samples per step instead of 1 x 4: the order of samples stays" in log
    assert "1 x 4 samples per step instead of 2 x 2" in log
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert (checkpoint["global_step"], checkpoint["exact"]["position"]["epoch"]) == (18, 3)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A folder on a disk of its own."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes more rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The checkpoints' folder of a run, with room for two of them and a bit."""
    with mounted(tmp_path / "run" / "checkpoints", "256k") as folder:
        yield folder


def fill(disk: Path) -> Path:
    """Leave no byte of a disk; gives the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1000))
    return filler


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """It fills up in the middle of a run, which trains on, ends with an error, and goes on when there is room."""
    write_recipe(tmp_path)
    assert wait(begin(tmp_path / "whole", 1, 0)[0]) == 0
    run_dir = tmp_path / "run"
    children = begin(run_dir, 1, 0)
    while not (small_disk / "last.ckpt").exists():
        time.sleep(0.01)
    filler = fill(small_disk)
    assert wait(children[0]) == 2
    log = (tmp_path / "run.log").read_text()
    assert "last.ckpt could not be written (No space left on device): the files before it are as they were" in log
    assert "the finished run could not be saved (No space left on device): free some space, then resume with fit" in log
    assert not list(small_disk.glob("*.part*"))
    assert torch.load(small_disk / "last.ckpt", weights_only=True)["global_step"] < 18
    filler.unlink()
    assert wait(fit(run_dir, *SLOWLY)) == 0
    assert differences(final(run_dir), final(tmp_path / "whole")) == []


def test_a_full_disk_under_the_whole_run(tmp_path: Path) -> None:
    """What is logged can't be written either: the run ends, and goes on from its checkpoint when there is room."""
    write_recipe(tmp_path)
    assert wait(begin(tmp_path / "whole", 1, 0)[0]) == 0
    with mounted(tmp_path / "run", "2m") as run_dir:
        children = begin(run_dir, 1, 0)
        while not (run_dir / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.01)
        filler = fill(run_dir)
        assert wait(children[0]) == 2
        last = (tmp_path / "run.log").read_text().splitlines()[-1]
        assert "No space left on device: free some space, then run the command again (fit: with --resume)" in last
        filler.unlink()
        assert wait(fit(run_dir, *SLOWLY)) == 0
        assert differences(final(run_dir), final(tmp_path / "whole")) == []


def test_a_disk_that_is_read_only(small_disk: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert wait(fit(tmp_path / "run")) == 2
    log = (tmp_path / "run.log").read_text()
    assert "nothing can be written there (Read-only file system): choose another --run_dir" in log
    assert len(log.splitlines()) == 1, "said before anything else"


def test_the_real_command_line_in_two_processes(tmp_path: Path) -> None:
    """Lightning starts the second process; the first alone gets the signal."""
    recipe, run_dir = write_recipe(tmp_path), tmp_path / "run"
    command = [sys.executable, "-m", "seglight", "fit", "--run_dir", str(run_dir), "--resume"]
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.init_args.batch_size", "2"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    options = [str(option) for option in SLOWLY]
    with (tmp_path / "run.log").open("w") as output:
        started = [*command, "-c", str(recipe), *two, *options]
        process = subprocess.Popen(started, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + 120
        while starts(tmp_path / "run.log") == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    log = (tmp_path / "run.log").read_text()
    assert code == 75, log
    assert f"(SIGTERM): resume with fit --run_dir {run_dir} --resume" in log
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    write_recipe(tmp_path)
    for child in begin(tmp_path / "whole", 2, 0):
        assert wait(child) == 0
    assert differences(final(run_dir), final(tmp_path / "whole")) == []
