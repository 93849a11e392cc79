"""What this process holds, by Linux's account of it, and what a pass of a net takes, reckoned from small ones."""

import ctypes
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from seglight.errors import UserError

WINDOWS = (1024, 768, 512, 384, 256, 128)
"""Pixels of the side of a window, the best first: a larger one sees more."""

PROBES = (128, 256, 512)
"""Pixels of the side of the images that a pass is measured on."""

MARGIN = 1.25
"""What is reckoned of a pass is taken so many times: what is freed is not all given back at once."""

Peaks = Sequence[tuple[int, int]]
"""Pixels of an image and bytes that a pass of it takes at its worst, by rising pixels."""


def resident_bytes() -> int:
    """Bytes that this process holds, without those that were freed and kept: they would hide as much of a pass.

    Raises:
        UserError: The system does not tell.
    """
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _status("VmRSS")


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that this process holds while it works.

    Raises:
        UserError: The system does not tell.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts anew
    except OSError as error:
        raise UserError("--max_memory: it is measured by /proc/self/clear_refs, which can't be written here") from error
    work()
    return _status("VmHWM")


def probed(cost: Callable[[int], int], room: int) -> Peaks:
    """What `cost` says of images of a growing side, as long as they would fit into a room; at least of the smallest."""
    peaks: list[tuple[int, int]] = []
    for side in PROBES:
        if peaks and bytes_of(peaks, side**2) > room:
            break
        peaks.append((side**2, cost(side)))
    return peaks


def bytes_of(peaks: Peaks, pixels: int) -> int:
    """Of a pass of an image of so many pixels, extrapolated by the power of the pixels that the last two peaks show."""
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
    """What to say where not even the smallest window fits."""
    return UserError(
        f"--max_memory {max_memory / 1e9:.2f} GB: {before / 1e9:.2f} GB are held already, and the rest is too "
        f"little for windows of {WINDOWS[-1]}x{WINDOWS[-1]} pixels: give more"
    )


def _status(key: str) -> int:
    """A line of Linux's account of this process, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            "--max_memory: memory is measured by Linux's /proc, which is not there: leave it out"
        ) from error
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{key}:"))
