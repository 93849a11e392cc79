"""Files that are there whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_NAME = 255
"""Bytes of a file's name, on Linux and macOS."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to, of the same ending; renamed when all is written. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")  # hidden: no file that somebody has is called so
    if len(os.fsencode(part.name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.stem)).hexdigest()
        part = path.with_name(f".{digest}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text as `whole` does."""
    with whole(path) as part:
        part.write_text(text)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to write to; renamed when all is written."""
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
