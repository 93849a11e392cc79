"""Bytes of image files: never more of them than an image can have."""

import io
import os
from pathlib import Path

from seglight.errors import UserError
from seglight.images.file_in_memory import AnyFile, FileInMemory
from seglight.images.png import SIGNATURE, TAIL
from seglight.images.tiff_pages import BEGINNINGS as TIFF

MOST_BYTES = 1 << 31
"""Most bytes of a file that is read as a whole: the largest image takes less, even uncompressed."""


def content(file: AnyFile) -> bytes:
    """Read the bytes of a file; of a TIFF, which is read page by page, only the first four.

    Raises:
        UserError: The file can't be read, or is too long for an image.
    """
    if isinstance(file, FileInMemory):
        if file.data.startswith(TIFF):
            return file.data[:4]
        _check_length(file, len(file.data))
        return file.data
    try:
        with file.open("rb", buffering=0) as opened:
            head = opened.read(4)
            if head in TIFF:
                return head
            _check_length(file, os.fstat(opened.fileno()).st_size)
            return head + opened.readall()
    except OSError as error:
        raise unreadable(file, error) from error


def ends(path: Path, length: int) -> tuple[bytes, bytes]:
    """Beginning of a file, and the end of a PNG.

    Args:
        path: Path of the file.
        length: Number of bytes of the beginning; -1: all of the file.

    Raises:
        UserError: As `content`.
    """
    try:
        with path.open("rb") as opened:
            if length < 0:
                _check_length(path, os.fstat(opened.fileno()).st_size)
            head = opened.read(length)
            if not head.startswith(SIGNATURE):
                return head, b""
            opened.seek(max(0, opened.seek(0, io.SEEK_END) - TAIL))
            return head, opened.read(TAIL)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(file: AnyFile, error: OSError) -> UserError:
    """The error about a file that the system does not read."""
    return UserError(f"{file}: not readable as an image ({error.strerror}): is the path right?")


def _check_length(file: AnyFile, found: int) -> None:
    if found > MOST_BYTES:
        raise UserError(f"{file}: {found / 1e9:.1f} GB, more than an image can have: is the path right?")
