"""Sweeps of real trainings, each in a fork of the test's process, which has already imported everything."""

import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import torch

from seglight.__main__ import main
from seglight.commands.executors import job, local
from seglight.commands.sweep import trial
from seglight.commands.sweep.cleanup import CheckpointCleanup
from seglight.commands.sweep.coordinator import Coordinator
from seglight.commands.sweep.dry_run import recipe_of
from seglight.commands.sweep.options import Running, Sweep
from seglight.commands.sweep.record import JOB_FOLDER, Record
from seglight.system.signals import SCHEDULERS, StopSignals
from tests.support import resumable

STARTS = "starts"
"""File of a trial with the process id of each start of its training."""

TRAINING_LOCK = "training.lock"
"""File of a trial that its training locks while it runs."""


class Fork:
    """The part of `subprocess.Popen` that executors and jobs use, for `python -m seglight...`, without the imports."""

    def __init__(
        self,
        words: list[str],
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        start_new_session: bool = False,
        **_: Any,
    ) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        gc.freeze()  # as in `resumable.start`
        code = 70
        try:
            if start_new_session:
                os.setsid()
            for number in (*SCHEDULERS, *job.IGNORED):
                signal.signal(number, signal.SIG_DFL)
            if stdout is not None and stderr is not None:
                sys.stdout, sys.stderr = (os.fdopen(os.dup(f.fileno()), "w", buffering=1) for f in (stdout, stderr))
            _, _, module, *args = words
            code = train(args) if module == "seglight" else job.run(Path(args[0]), json.loads(args[1]), Path.cwd())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if done else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@pytest.fixture
def _forks(_imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs and trainings of the local executor in forks, and poll them at short intervals."""
    monkeypatch.setattr(Coordinator.__init__, "__defaults__", (0.05,))
    for module in (local, job):
        monkeypatch.setattr(module, "subprocess", SimpleNamespace(Popen=Fork, DEVNULL=subprocess.DEVNULL))


def train(args: list[str]) -> int:
    """Run `fit`; raises if another process trains the same trial."""
    torch.set_num_threads(1)
    own = Path(args[args.index("--run_dir") + 1]) / JOB_FOLDER
    with (own / STARTS).open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    with (own / TRAINING_LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return main(args)


def trains(own: Path) -> bool:
    """Whether the training of a trial is alive."""
    try:
        with (own / TRAINING_LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def real_sweep(
    folder: Path, trials: int, seconds: float = 0.0, running: dict[str, Any] | None = None, **options: Any
) -> Sweep:
    """A sweep over learning rate and weight decay of a small net that takes `seconds` per step, on synthetic images."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(resumable.RECIPE.replace("resumable.Net}", f"resumable.Net, init_args: {{seconds: {seconds}}}}}"))
    optimizer = "model.optimizer.init_args"
    space: Any = {f"{optimizer}.lr": {"log": [1e-4, 1e-1]}, f"{optimizer}.weight_decay": {"range": [0.0, 0.1]}}
    objectives: Any = {"val/miou": "maximize"}
    options_of_run = Running(**{"pause": 0.0} | (running or {}))
    return Sweep([str(recipe)], objectives, space, trials, running=options_of_run, **options)


def real_coordinator(out: Path, sweep: Sweep, removes_checkpoints: bool = False) -> Coordinator:
    """A coordinator with as many slots as the sweep, which removes checkpoints as the command does if asked to."""

    def changed(record: Record) -> None:
        if removes_checkpoints and record.done:
            cleanup.run()

    run = Coordinator(
        out / "trials",
        sweep,
        local.LocalExecutor([""] * sweep.running.parallel),
        lambda record: recipe_of(sweep, record.params),
        lambda run: trial.trial_commands(sweep, run),
        changed,
        StopSignals(),
        interval=0.05,
    )
    cleanup = CheckpointCleanup(out / "trials", sweep, run.records)
    return run
