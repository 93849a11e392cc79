"""Memory of processes on Linux, and memory of a forward pass, extrapolated from small images."""

import ctypes
import math
import os
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from seglight.errors import UserError

WINDOWS = (1024, 768, 512, 384, 256, 128)
"""Side lengths of windows in pixels, the best first: a larger window has more context."""

PROBES = (128, 256, 512)
"""Side lengths in pixels of the images that a pass is measured with."""

MARGIN = 1.25
"""Factor on the estimated memory of a pass: freed memory is not returned to the system at once."""

Peaks = Sequence[tuple[int, int]]
"""Pairs of the pixels of an image and the peak bytes of its pass, sorted by pixels."""


def parse_bytes(text: str) -> int:
    """Number of bytes of a text such as 2GB or 1500MiB.

    Raises:
        UserError: The text is no size.
    """
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i?)?B?", text)
    if not size:
        raise UserError(f"--max_memory {text} is not a size: give bytes with a unit, such as 2GB or 1500MiB")
    unit = size[2] or ""
    return int(float(size[1]) * (1024 if unit.endswith("i") else 1000) ** " KMGT".index(unit[:1] or " "))


def resident_bytes() -> int:
    """Resident memory of this process in bytes, after freed memory was returned: it would hide a part of a pass.

    Raises:
        UserError: The system has no `/proc`.
    """
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _status("VmRSS")


def resident_bytes_of(process: int) -> int:
    """Resident memory of a process in bytes; 0 if it has ended, or where the system does not say.

    Args:
        process: Number of the process.
    """
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_of(work: Callable[[], object]) -> int:
    """Peak resident memory of this process in bytes while a function runs.

    Raises:
        UserError: The system has no `/proc`, or it can't be written to.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the high-water mark
    except OSError as error:
        raise UserError("--max_memory: it is measured by /proc/self/clear_refs, which can't be written here") from error
    work()
    return _status("VmHWM")


def probed(cost: Callable[[int], int], room: int) -> Peaks:
    """Peak bytes of passes of growing images, as long as the next one is expected to fit into `room` bytes.

    The smallest image is always measured.

    Args:
        cost: Function of the side length of an image that returns the peak bytes of its pass.
        room: Available bytes.
    """
    peaks: list[tuple[int, int]] = []
    for side in PROBES:
        if peaks and bytes_of(peaks, side**2) > room:
            break
        peaks.append((side**2, cost(side)))
    return peaks


def bytes_of(peaks: Peaks, pixels: int) -> int:
    """Bytes of a pass of an image with that many pixels, extrapolated by the exponent between the last two peaks."""
    for (smaller, least), (larger, most) in pairwise(((0, 0), *peaks)):
        if pixels <= larger:
            return least + (most - least) * (pixels - smaller) // (larger - smaller)
    measured, peak = peaks[-1]
    power = 1.0
    if len(peaks) > 1:
        smaller, least = peaks[-2]
        grown = math.log(max(1, peak) / max(1, least)) / math.log(measured / smaller)
        power = min(2.0, max(1.0, grown))  # 2: attention
    return int(peak * (pixels / measured) ** power)


def too_little(max_memory: int, before: int) -> UserError:
    """Error for a limit into which not even the smallest window fits."""
    return UserError(
        f"--max_memory {max_memory / 1e9:.2f} GB: {before / 1e9:.2f} GB are held already, and the rest is too "
        f"little for windows of {WINDOWS[-1]}x{WINDOWS[-1]} pixels: give more"
    )


def _status(key: str) -> int:
    """Value of a line of `/proc/self/status` in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            "--max_memory: memory is measured by Linux's /proc, which is not there: leave it out"
        ) from error
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{key}:"))
