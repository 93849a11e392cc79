"""Choose how a net is applied to images within a memory limit."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seglight.checkpoints.net_bands import blank_image, pixels_read
from seglight.errors import UserError
from seglight.images.band_windows import reading_bytes
from seglight.inference.no_data import mark_bytes
from seglight.inference.sliding import SlidingWindow
from seglight.inference.whole import WholeImage
from seglight.interfaces import Inferer, seg_output
from seglight.ops.bands import SOURCE_ROWS, budget
from seglight.ops.sizes import DIVISOR, round_up
from seglight.system.memory import MARGIN, WINDOWS, Peaks, bytes_of, peak_of, probed, resident_bytes, too_little

LABEL_BYTES = 3
"""Bytes of a pixel beside the logits and the image: of labels and marks of near-ties.

`python -m pytest tests/inference/test_plan.py` measures what a process holds while it predicts within a limit.
"""


def pixel_bytes(net: nn.Module) -> int:
    """Bytes of a pixel of the image as a net reads it: 3 of 8-bit RGB."""
    bands = pixels_read(net)
    return len(bands.names) * int(bands.dtype.itemsize)


class Passes(NamedTuple):
    """Measured memory of a net's forward pass.

    Attributes:
        peaks: Peak memory for images of some sizes.
        logits: Shape (C, h, w) of the logits of the largest of these images.
        side: Side of that image in pixels.
    """

    peaks: Peaks
    logits: tuple[int, ...]
    side: int

    def bytes(self, pixels: int) -> int:
        """Bytes of a pass of an image of so many pixels."""
        return bytes_of(self.peaks, pixels)

    def logit_bytes(self, pixels: int) -> int:
        """Bytes of the float32 logits of an image of so many pixels."""
        return 4 * math.prod(self.logits) * pixels // self.side**2


def plan(
    net: nn.Module, size: tuple[int, int], max_memory: int, probabilities: bool = False, by_windows: bool = False
) -> Inferer:
    """Choose the whole image if it fits, and else the largest window that does.

    The memory of a pass is measured on small images and extrapolated to larger ones.

    Args:
        net: The net, in evaluation mode, on its device.
        size: Size (H, W) of the image.
        max_memory: Bytes that this process may hold; on a GPU those of torch.
        probabilities: Whether the probabilities of all classes are kept for the whole image.
        by_windows: Whether the image is read from its file by windows.

    Raises:
        UserError: Not even the smallest window fits, or memory can't be measured here.
    """
    device = next(net.parameters()).device
    net(blank_image(net, (64, 64), device=device))  # what is allocated and loaded only once
    before = _held(device)
    if before <= max_memory:
        passes = _measured(net, device, max_memory - before)
        room = max_memory - _held(device)
        height, width = (round_up(length, DIVISOR) for length in size)
        if by_windows and device.type == "cpu":
            room -= reading_bytes(pixels_read(net))
        each = 2 * pixel_bytes(net) + LABEL_BYTES + mark_bytes(pixels_read(net))  # the image, and its padded copy
        if probabilities:
            room -= _probability_bytes(passes.logits[0], size, max_memory, room)
        if MARGIN * passes.bytes(height * width) + each * height * width + 3 * budget(device) <= room:
            return WholeImage()
        for window in WINDOWS:
            inferer = SlidingWindow(window)
            if MARGIN * (passes.bytes(window**2) + _sliding_bytes(inferer, passes, size, net)) <= room:
                return inferer
    raise too_little(max_memory, before)


def _probability_bytes(classes: int, size: tuple[int, int], max_memory: int, room: int) -> int:
    """Bytes of an image's probabilities in float32, and of the float16 copy that is written."""
    total = 6 * classes * size[0] * size[1]
    if total > room:
        raise UserError(
            f"probabilities of {size[0]} x {size[1]} pixels x {classes} classes take {total / 1e9:.1f} GB beside "
            f"{(max_memory - room) / 1e9:.1f} GB in use, and --max_memory is {max_memory / 1e9:.2f} GB: "
            "give more, or cut the image"
        )
    return total


def _sliding_bytes(inferer: SlidingWindow, passes: Passes, size: tuple[int, int], net: nn.Module) -> int:
    """Bytes beside a pass: the logits of rows of windows, rows of the image, and the band that is blended.

    Args:
        inferer: The windows.
        passes: Memory of a pass.
        size: Size (H, W) of the image.
        net: The net.
    """
    down, across = inferer.sides(size)
    rows = max(sum(start < end <= start + down.window for start in down.starts) for end in down.ends)
    logits = rows * len(across.starts) * passes.logit_bytes(down.window * across.window)
    pixel = 3 * pixel_bytes(net) + mark_bytes(pixels_read(net))  # as read, as a tensor, and padded
    pixels = pixel * down.window * across.length
    band = 4 * passes.logits[0] * 2 * (SOURCE_ROWS + 2) * across.length
    return logits + pixels + band + 3 * budget(torch.device("cpu"))


@torch.no_grad()
def _measured(net: nn.Module, device: torch.device, room: int) -> Passes:
    found: list[Tensor] = []

    def cost(side: int) -> int:
        image = blank_image(net, (side, side), device=device)
        found[:] = []
        before = _held(device)
        return _peak(lambda: found.append(seg_output(net(image)).logits), device) - before

    peaks = probed(cost, room)
    return Passes(peaks, tuple(found[0].shape[1:]), math.isqrt(peaks[-1][0]))


def _peak(work: Callable[[], object], device: torch.device) -> int:
    """Peak memory in bytes of a function call."""
    if device.type != "cuda":
        return peak_of(work)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device)


def _held(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else resident_bytes()
