"""Arrays in NumPy's own format (.npy) as images."""

import io
import math
import tokenize
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.file_in_memory import AnyFile, openable
from seglight.images.holding import Holding, unlike

MAGIC = b"\x93NUMPY"


def npy_holding(file: AnyFile) -> Holding:
    """What an array holds: (H, W), (H, W, bands) or (bands, H, W); the shorter of the outer axes counts the bands.

    Raises:
        UserError: The file is damaged, or contains objects of Python.
    """
    shape, dtype = _header(file)
    unread = (
        "" if len(shape) in (2, 3) else f"an array of shape {shape}: an image is (H, W), (H, W, bands) or (bands, H, W)"
    )
    if len(shape) == 2:
        height, width, count = *shape, 1
    elif len(shape) == 3:
        height, width, count = (shape[1], shape[2], shape[0]) if shape[0] < shape[2] else shape
    else:
        height, width, count = 0, 0, 0
    if not unread and not height * width * count:
        raise UserError(f"{file}: an array of shape {shape} has no pixels")
    axes = "YX" if len(shape) == 2 else "CYX" if shape[:1] < shape[-1:] else "YXC"
    return Holding("NumPy array", height, width, count, dtype.name, axes=axes, unread=unread)


def npy_layout(file: AnyFile, held: Holding, count: int) -> Holding:
    """What an array holds if its bands are known to be so many.

    Raises:
        UnreadImageError: Both outer axes have that length.
    """
    shape, _ = _header(file)
    if len(shape) != 3 or count not in (shape[0], shape[2]):
        return held
    if shape[0] == shape[2]:
        raise unlike(
            file, held, f"an array of shape {shape} of {count} bands can be read both ways: save (H, W, bands)"
        )
    height, width, axes = (*shape[:2], "YXC") if shape[2] == count else (*shape[1:], "CYX")
    return Holding(held.format, height, width, count, held.type, axes=axes)


class NpyBands:
    """An array by windows, mapped into memory.

    Args:
        path: Path of the file.
        held: What it holds.

    Attributes:
        shape: Height and width.
    """

    def __init__(self, path: Path, held: Holding) -> None:
        self.path = path
        self.held = held
        self.shape = (held.height, held.width)
        self.array = _channels_last(np.load(path, mmap_mode="r", allow_pickle=False), held)

    def __reduce__(self) -> tuple[type, tuple[Path, Holding]]:
        return type(self), (self.path, self.held)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window (h, w, bands)."""
        return np.array(self.array[rows, columns], self.held.type, order="C")


def npy_bands(file: AnyFile, held: Holding) -> NDArray[Any]:
    """Read an array as (H, W, bands).

    Raises:
        UserError: The file is damaged.
    """
    try:
        array = np.load(openable(file), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(file, error) from error
    return np.ascontiguousarray(_channels_last(array, held), held.type)


def _channels_last(array: NDArray[Any], held: Holding) -> NDArray[Any]:
    if held.axes == "YX":
        return array[..., None]
    return np.moveaxis(array, 0, -1) if held.axes == "CYX" else array


def _header(file: AnyFile) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                shape, dtype = _read_header(opened)
        else:
            shape, dtype = _read_header(openable(file))  # type: ignore[arg-type]
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(file, error) from error
    if dtype.hasobject:
        raise UserError(f"{file}: an array of Python objects, which are not read: save numbers")
    return shape, dtype


def _read_header(opened: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(opened)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(opened)
    except (SyntaxError, tokenize.TokenError) as error:  # NumPy tokenizes headers that it can't parse
        raise ValueError("its header can't be parsed") from error
    stated = math.prod(shape) * dtype.itemsize
    held = -opened.tell() + opened.seek(0, io.SEEK_END)
    if held < stated and not dtype.hasobject:  # before so much memory is allocated or mapped
        raise ValueError(f"{held} bytes of pixels, where its header states {stated}")
    return shape, dtype


def _damaged(file: AnyFile, error: Exception) -> UserError:
    return UserError(f"{file}: not readable as a NumPy array ({error}): is it whole?")
