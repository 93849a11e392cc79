"""Files that are there whole or not at all."""

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

LONGEST_NAME = 255
"""Bytes of a file's name, on Linux and macOS."""

PART = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)\.part(\..*)?", re.DOTALL)
"""What a process writes to: whose machine and number stand in the name, so that no other writes to it."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to, of the same ending; renamed when all is written. Makes the folder.

    The place is this process's own: of two that write the same file at once, the last to end has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path, path.stem, path.suffix)
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def atomic_write(path: Path, text: str) -> None:
    """Write a text as `whole` does."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to write to, this process's own; renamed when all is written."""
    part = _beside(path, path.name, "")
    shutil.rmtree(part, ignore_errors=True)  # of a process of our number that was killed
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _beside(path: Path, stem: str, suffix: str) -> Path:
    """This process's own place to write `path` to."""
    machine, process = _machine(), os.getpid()
    _clear(path.parent, machine, process)
    end = f".{machine}-{process}.part{suffix}"
    name = f".{stem}{end}"  # hidden: no file that somebody has is called so
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(stem)).hexdigest()[:32]}{end}"
    return path.with_name(name)


def _machine() -> str:
    """Eight letters that tell machines, and containers on one, apart: each of them numbers its own processes."""
    space = ""
    with suppress(OSError):  # Linux alone has it
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


@lru_cache(maxsize=1024)
def _clear(folder: Path, machine: str, process: int) -> None:
    """Remove what killed processes of this machine have left; once a folder and process, as folders can be long."""
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
    """Whether a process of this machine is there still."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
