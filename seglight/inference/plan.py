"""Choose how a net sees images so that a stated memory is kept."""

import ctypes
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.inference.sliding import SlidingWindow
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer, seg_output
from seglight.ops.bands import SOURCE_ROWS, budget
from seglight.ops.padding import DIVISOR, round_up

WINDOWS = (1024, 768, 512, 384, 256, 128)
"""Pixels of the side of a window, the best first: a larger one sees more."""

PROBES = (128, 256, 512)
"""Pixels of the side of the images that a pass is measured on."""

MARGIN = 1.25
"""What is reckoned of a pass and of logits is taken so many times: what is freed is not all given back at once."""


class Passes(NamedTuple):
    """What a net takes.

    Attributes:
        peaks: Pixels of an image and bytes that a pass of it takes at its worst, by rising pixels.
        logits: (C, h, w) of the largest of them.
        side: Pixels of its side.
    """

    peaks: Sequence[tuple[int, int]]
    logits: tuple[int, ...]
    side: int

    def bytes(self, pixels: int) -> int:
        """Of an image of so many pixels, extrapolated by the power of the pixels that the last two peaks show."""
        for (smaller, least), (larger, most) in pairwise(((0, 0), *self.peaks)):
            if pixels <= larger:
                return least + (most - least) * (pixels - smaller) // (larger - smaller)
        measured, peak = self.peaks[-1]
        power = 1.0
        if len(self.peaks) > 1:
            smaller, least = self.peaks[-2]
            grown = math.log(max(1, peak) / max(1, least)) / math.log(measured / smaller)
            power = min(2.0, max(1.0, grown))  # 2: attention
        return int(peak * (pixels / measured) ** power)

    def logit_bytes(self, pixels: int) -> int:
        """Float32 logits of an image of so many pixels."""
        return 4 * math.prod(self.logits) * pixels // self.side**2


def plan(net: nn.Module, size: tuple[int, int], max_memory: int) -> Inferer:
    """The whole image where that fits, else the largest window that does.

    A pass of the net is measured on small images, that of larger ones is reckoned from them.

    Args:
        net: In evaluation mode, on its device.
        size: (H, W) of the image.
        max_memory: Bytes that this process may hold; on a GPU those of torch there.

    Raises:
        UserError: Not even the smallest window fits, or memory can't be measured here.
    """
    device = next(net.parameters()).device
    passes = _measured(net, device, max_memory)
    room = max_memory - _held(device)
    if passes is not None:
        height, width = (round_up(length, DIVISOR) for length in size)
        # beside the logits: the image, its padded copy, labels, and where these are near-ties
        if MARGIN * passes.bytes(height * width) + 9 * height * width + 3 * budget(device) <= room:
            return WholeImage()
        for window in WINDOWS:
            inferer = SlidingWindow(window)
            if MARGIN * (passes.bytes(window**2) + _sliding_bytes(inferer, passes, size)) <= room:
                return inferer
    raise UserError(
        f"--max_memory {max_memory / 1e9:.2f} GB: {_held(device) / 1e9:.2f} GB are held already, and the rest is too "
        f"little for windows of {WINDOWS[-1]}x{WINDOWS[-1]} pixels: give more"
    )


def _sliding_bytes(inferer: SlidingWindow, passes: Passes, size: tuple[int, int]) -> int:
    """What is held beside a pass: the logits of rows of windows, rows of the image, and a band of what is blended."""
    down, across = inferer.sides(size)
    rows = max(sum(start < end <= start + down.window for start in down.starts) for end in down.ends)
    logits = rows * len(across.starts) * passes.logit_bytes(down.window * across.window)
    pixels = 9 * down.window * across.length  # as they are read, as a tensor, and padded
    band = 4 * passes.logits[0] * 2 * (SOURCE_ROWS + 2) * across.length
    return logits + pixels + band + 3 * budget(torch.device("cpu"))


@torch.no_grad()
def _measured(net: nn.Module, device: torch.device, max_memory: int) -> Passes | None:
    """None where the smallest pass is too much already."""
    net(torch.zeros(1, 3, 64, 64, dtype=torch.uint8, device=device))  # what is allocated once, and code that is loaded
    room = max_memory - _held(device)
    passes: Passes | None = None
    for side in PROBES:
        if room < 0 or (passes is not None and passes.bytes(side**2) > room):
            break
        logits, peak = _peak(net, torch.zeros(1, 3, side, side, dtype=torch.uint8, device=device))
        passes = Passes([*(passes.peaks if passes else ()), (side**2, peak)], tuple(logits.shape[1:]), side)
    return passes


def _peak(net: nn.Module, image: Tensor) -> tuple[Tensor, int]:
    """The logits of an image, and the bytes that a pass takes at its worst."""
    before = _held(image.device)
    if image.is_cuda:
        torch.cuda.reset_peak_memory_stats(image.device)
        logits = seg_output(net(image)).logits
        return logits, torch.cuda.max_memory_allocated(image.device) - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    except OSError as error:
        raise UserError(
            "--max_memory: a pass is measured by /proc/self/clear_refs, which can't be written here"
        ) from error
    logits = seg_output(net(image)).logits
    return logits, max(0, _status("VmHWM") - before)


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # what was freed and kept would hide as much of the next pass
    return _status("VmRSS")


def _status(key: str) -> int:
    """A line of Linux's account of this process, in bytes.

    Raises:
        UserError: There is none.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise UserError(
            "--max_memory: memory is measured by Linux's /proc, which is not there: leave it out"
        ) from error
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{key}:"))
