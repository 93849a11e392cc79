"""Files and folders that are there whole or not at all: written beside their path, then renamed.

A rename protects against a process that is killed. A crash of the machine can still lose or cut off what was renamed
but had not reached the disk. So `sync=True` is the rule for a file that a later command trusts without being able to
make it again or to check all of it: the checkpoints of a run, and the shards of a cache, which are held to their size
and time only. Everything else is written by a command that writes it again, or carries a checksum, and is not synced.
"""

import hashlib
import itertools
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

LONGEST_NAME = 255
"""Bytes in the name of a file, on Linux and macOS."""

PART = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)\.part(\..*)?", re.DOTALL)
"""Name of a temporary file: it holds the machine and the number of its process, so that no other one writes to it."""

ANY_PART = ("*.part", "*.part.*")
"""Glob patterns of the temporary files of all processes, and of those of earlier versions."""


@contextmanager
def atomic_path(path: Path, *, sync: bool = False, previous: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, that is renamed to `path` at the end of the block.

    The folder is created if needed. If the block raises, the temporary file is removed and `path` stays as it was. If
    two processes write one file at the same time, the last one to finish wins.

    Args:
        path: Path of the file.
        sync: Whether file and rename are brought to the disk before the block is left; see the rule above.
        previous: Path that a file already at `path` is renamed to, or None: it is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path, path.stem, path.suffix)
    try:
        yield part
        if sync:
            _sync(part)
        if previous is not None and path.exists():
            path.replace(previous)
        part.replace(path)
        if sync:
            _sync(path.parent)  # a rename is on the disk when its folder is
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def atomic_write(
    path: Path, content: str | bytes | memoryview, *, sync: bool = False, previous: Path | None = None
) -> None:
    """Write a whole file as `atomic_path` does.

    Args:
        path: Path of the file.
        content: Text, which is written as UTF-8, or bytes.
        sync: As for `atomic_path`.
        previous: As for `atomic_path`.
    """
    with atomic_path(path, sync=sync, previous=previous) as part:
        if isinstance(content, str):
            part.write_text(content, encoding="utf-8")
        else:
            part.write_bytes(content)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path` that is renamed to `path` at the end of the block.

    If the block raises, the temporary folder is removed.

    Args:
        path: Path of the folder, which must not exist or be empty.
    """
    part = _beside(path, path.name, "")
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process that had our number
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of killed processes, whichever machine they ran on.

    Args:
        folder: Folder that only the caller writes to: a running process would lose what it is writing.
    """
    for part in itertools.chain.from_iterable(map(folder.glob, ANY_PART)):
        part.unlink(missing_ok=True)  # another process of one run may have been first


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _beside(path: Path, stem: str, suffix: str) -> Path:
    """The temporary path of this process for `path`."""
    machine = _machine()
    process = os.getpid()
    _clear(path.parent, machine, process)
    end = f".{machine}-{process}.part{suffix}"
    name = f".{stem}{end}"  # hidden, so that no listing of images or checkpoints finds it
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(stem)).hexdigest()[:32]}{end}"
    return path.with_name(name)


def _machine() -> str:
    """Eight hex digits that identify a machine, or a container on it: each numbers its own processes."""
    space = ""
    with suppress(OSError):  # only Linux has it
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


@lru_cache(maxsize=1024)
def _clear(folder: Path, machine: str, process: int) -> None:
    """Remove what killed processes of this machine left; once for a folder and process, because listings are slow."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = PART.fullmatch(entry.name)
            if found is None or found[1] != machine or int(found[2]) == process or _runs(int(found[2])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.remove(entry)


def _runs(process: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to another user
        return True
    return True
