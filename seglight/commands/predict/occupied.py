"""Who writes to an output folder: one command with shards and its jobs, or any number of commands without.

A command without shards shares a lock (flock) on a file among the shards' files, a command with shards has it to
itself. Jobs of a command that was killed run on without it, and are found by locks of their own.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from seglight.commands.executors.job import is_running
from seglight.commands.predict.shards.shard import read_job
from seglight.errors import UserError
from seglight.system.remote import is_address

FOLDER = ".predict"
"""Folder of the shards' files within the output folder, removed when all shards are finished."""

WRITERS = "writers"
"""File among them that is locked while a command writes to the output folder."""

ATTEMPTS = 20
"""Attempts to take the lock, which a command that ends holds for a moment."""

PAUSE = 0.02
"""Seconds between two attempts."""

OTHERWISE = "wait until it ends, or choose another --out"


def shards_folder(out: str) -> Path:
    """Folder of the shards' files: in the output folder, or in the working directory if that is a remote storage.

    Args:
        out: Output folder, or its address.
    """
    if is_address(out):
        return Path(f"{FOLDER}-{hashlib.sha256(out.rstrip('/').encode()).hexdigest()[:12]}").absolute()
    return Path(out).absolute() / FOLDER


@contextmanager
def written_without_shards(out: str) -> Iterator[None]:
    """Keep commands with shards away from an output folder within the context.

    Args:
        out: Output folder, or its address.

    Raises:
        UserError: A command with shards writes there, or jobs of one that was killed.
    """
    folder = shards_folder(out)
    absent = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        with _locked(folder, fcntl.LOCK_SH, f"{out}: a command with --parallel writes there: {OTHERWISE}"):
            _check_jobs(out, folder)
            yield
    finally:
        with suppress(OSError):  # what is not empty stays
            for place in absent or [folder]:
                place.rmdir()


@contextmanager
def written_by_shards(out: str) -> Iterator[None]:
    """Keep commands without shards away from an output folder within the context.

    Args:
        out: Output folder, or its address.

    Raises:
        UserError: A command without shards writes there.
    """
    with _locked(shards_folder(out), fcntl.LOCK_EX, f"{out}: another `seglight predict` writes there: {OTHERWISE}"):
        yield


@contextmanager
def _locked(folder: Path, kind: int, refusal: str) -> Iterator[None]:
    path = folder / WRITERS
    file = _lock(path, kind, refusal)
    if file is None:
        yield
        return
    with file:
        try:
            yield
        finally:
            with suppress(OSError):  # others share it
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _lock(path: Path, kind: int, refusal: str) -> BinaryIO | None:
    """Open and lock the file; None where no lock can be made, and no command with shards can run either.

    Raises:
        UserError: The lock is taken.
    """
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("ab+"))
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    stack.pop_all()
                    return file
            except FileNotFoundError:  # whoever had the lock has just removed it
                pass
            except BlockingIOError:
                time.sleep(PAUSE)
            except OSError:
                return None
    if not path.parent.is_dir():  # no folder can be made there, as in /proc
        return None
    raise UserError(refusal)


def _check_jobs(out: str, folder: Path) -> None:
    for job in sorted(folder.glob("[0-9]*")):
        started = read_job(job)
        if is_running(job):
            raise UserError(
                f"{out}: jobs of an earlier command with --parallel still write there: repeat that command, or "
                "wait until they have ended"
            )
        if started is not None and started[0] == "slurm":
            raise UserError(
                f"{out}: jobs of an earlier command may wait in Slurm: repeat it with --executor slurm, or cancel them "
                f"and remove {folder}"
            )
