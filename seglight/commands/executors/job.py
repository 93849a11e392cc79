"""Process that runs a job on its machine: it runs the commands while it holds a lock, and writes their exit code.

Any later process recognises by the lock that the job still runs, or finds its exit code. It is started as
`python -m seglight.commands.executors.job FOLDER COMMANDS`, with the commands as JSON.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from seglight.system.atomic import atomic_write
from seglight.system.signals import SCHEDULERS, ForwardedSignals

LOCK = "lock"
"""File that is locked while the job runs."""

EXIT = "exit.json"
"""File that is written when the job has ended."""

LOG = "log.txt"
"""Output of the job."""

STOP = "stop"
"""File that asks the job to stop: a file reaches it on any machine."""

IGNORED = (signal.SIGINT, signal.SIGUSR2)
"""Signals that do not end this process before its commands. Those of schedulers are forwarded to the commands.

Slurm sends signals to this process only where it tracks processes by cgroups.
"""

Command = tuple[list[str], str]
"""Words of a command, and the file in the folder of the log that receives its standard output."""


def run(folder: Path, commands: Sequence[Command], cwd: Path) -> int:
    """Run the commands of a job one after the other, up to the first that fails.

    Args:
        folder: Folder for the lock, the log and the exit code of the job.
        commands: Commands to run; everything except their standard output goes to the log.
        cwd: Working directory: relative paths start where the command was started.

    Returns:
        0, or the exit code of the command that failed, negative for a signal. 0 at once if another process holds the
        lock or has finished the job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as lock:
        if not _acquire(lock) or exit_code(folder) == 0:
            return 0
        for name in (EXIT, STOP):  # left by the same job before it was requeued
            (folder / name).unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpgid(0)))
        lock.flush()
        with ForwardedSignals(SCHEDULERS, IGNORED) as signals:
            code = _run_all(folder, commands, cwd, lock.fileno(), signals)
        atomic_write(folder / EXIT, json.dumps(code) + "\n")
    return code


def run_secondary(words: list[str], cwd: Path) -> int:
    """Run the training command in the other processes of a distributed training; only the first one writes files."""
    with ForwardedSignals(SCHEDULERS, IGNORED) as signals:
        return _wait(subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=cwd), signals, None)


def _acquire(lock: TextIO) -> bool:
    for _ in range(20):  # a process that checks whether the lock is held holds it for a moment
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _run_all(folder: Path, commands: Sequence[Command], cwd: Path, lock: int, signals: ForwardedSignals) -> int:
    for words, output in commands:
        with (folder / LOG).open("ab") as log, (folder / output).open("ab" if output == LOG else "wb") as out:
            # the command inherits the lock: it still holds it if this process is killed
            process = subprocess.Popen(
                words, stdout=out, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd, pass_fds=(lock,)
            )
        code = _wait(process, signals, folder / STOP)
        if code:
            return code
    return 0


def _wait(process: subprocess.Popen[bytes], signals: ForwardedSignals, stop: Path | None) -> int:
    signals.add(process)
    stopped = False
    while process.poll() is None:
        if not (stopped or signals.received) and stop is not None and stop.exists():
            process.send_signal(signal.SIGTERM)
            stopped = True
        time.sleep(0.05)
    signals.remove(process)
    return process.returncode


def exit_code(folder: Path) -> int | None:
    """Exit code of a job that has ended; None if it has not, or if all of its processes were killed."""
    try:
        code: int = json.loads((folder / EXIT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return code


def is_running(folder: Path) -> bool:
    """Whether a process of a job is alive, on this machine or, if the file system supports locks, on another one."""
    try:
        with (folder / LOCK).open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def request_stop(folder: Path) -> None:
    """Ask a running job to save its state and stop."""
    (folder / STOP).touch()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), json.loads(sys.argv[2]), Path.cwd()))
