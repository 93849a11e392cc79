"""What runs on the machine that a trial is given: its commands, under a lock, and their exit code in a file.

The one process of a trial that its training can be recognised by: whoever comes later finds the lock held, or the exit
code. `python -m seglight.commands.sweep.job FOLDER COMMANDS`, the commands as JSON.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from seglight.system.atomic import atomic_write
from seglight.system.signals import SCHEDULERS

LOCK, EXIT, LOG, STOP = "lock", "exit.json", "log.txt", "stop"
"""Beside the trial's state: held while it runs, written when it has ended, what it said, and there when it is to stop.

A file reaches a trial wherever it runs.
"""

OUTLIVED = (*SCHEDULERS, signal.SIGINT, signal.SIGUSR2)
"""Signals that do not end this process before its commands; those of schedulers are passed on to them."""

Command = tuple[list[str], str]
"""Words, and the file beside the log that takes what is printed."""


def run(folder: Path, commands: Sequence[Command], cwd: Path) -> int:
    """Run the commands of a trial one after the other, up to the first that fails.

    Args:
        folder: Of the trial, for lock, log and exit code.
        commands: Their standard output goes to the file named, all else to the log.
        cwd: Where they run: relative paths of a recipe are meant from where the sweep was begun.

    Returns:
        0, or the exit code of what failed, negative for a signal. Where another process has the lock or is done, 0 at
        once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as lock:
        if not _take(lock) or exit_code(folder) == 0:
            return 0
        for name in (EXIT, STOP):  # of the same job, before it was requeued
            (folder / name).unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpgid(0)))
        lock.flush()
        with _outlived() as told:
            code = _run_all(folder, commands, cwd, lock.fileno(), told)
        atomic_write(folder / EXIT, json.dumps(code) + "\n")
    return code


def train_along(words: list[str], cwd: Path) -> int:
    """What the other processes of a training on several run: its command alone, the trial's files are the first's."""
    with _outlived() as told:
        return _wait(subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=cwd), told, None)


@contextmanager
def _outlived() -> Iterator[list[int]]:
    """Gives a list of the signals that came: where Slurm tracks processes by cgroups, it tells this one alone."""
    told: list[int] = []

    def note(number: int, frame: object) -> None:
        told.extend([number] if number in SCHEDULERS else [])

    before = [signal.signal(number, note) for number in OUTLIVED]  # ignoring would be handed on to the commands
    try:
        yield told
    finally:
        for number, handler in zip(OUTLIVED, before, strict=True):
            signal.signal(number, handler)


def _take(lock: TextIO) -> bool:
    for _ in range(20):  # who asks whether it is held, holds it for a moment
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _run_all(folder: Path, commands: Sequence[Command], cwd: Path, lock: int, told: list[int]) -> int:
    for words, output in commands:
        with (folder / LOG).open("ab") as log, (folder / output).open("ab" if output == LOG else "wb") as out:
            # the lock is handed on: should this process be killed, the command still holds it
            process = subprocess.Popen(
                words, stdout=out, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd, pass_fds=(lock,)
            )
        code = _wait(process, told, folder / STOP)
        if code:
            return code
    return 0


def _wait(process: subprocess.Popen[bytes], told: list[int], stop: Path | None) -> int:
    passed_on = False
    while process.poll() is None:
        if not passed_on and (told or (stop is not None and stop.exists())):
            process.send_signal(told[0] if told else signal.SIGTERM)
            passed_on = True
        time.sleep(0.05)
    return process.returncode


def exit_code(folder: Path) -> int | None:
    """Of a trial that has ended; None where it has not, or was killed with all that belonged to it."""
    try:
        code: int = json.loads((folder / EXIT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return code


def is_running(folder: Path) -> bool:
    """Whether a process of a trial is alive, on this machine or, where the file system has locks, on another."""
    try:
        with (folder / LOCK).open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def stop(folder: Path) -> None:
    """Tell a running trial to save and leave."""
    (folder / STOP).touch()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), json.loads(sys.argv[2]), Path.cwd()))
