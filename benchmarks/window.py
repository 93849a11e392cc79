"""Sliding windows against MONAI's SlidingWindowInferer and mmsegmentation's method, from uint8 image to label map.

All sides use windows of 512x512 pixels at the same positions, which overlap by a quarter and have uniform weights.
"stitching" uses a net that only returns stored logits at stride 4; "whole" uses a small net; "streamed" uses the small
net and keeps only the number of pixels of each class, to measure the memory without the label map. Label maps are
compared first; at most one pixel in 100,000 may differ, because the order of a float32 sum decides near-ties. Sizes are
height x width. mmsegmentation's method pads every window's logits to the whole image; by default it runs on at most
4096x4096 pixels (4096x16384 takes an hour and 11 GB: `--sizes 4096x16384 --peers mmsegmentation --rounds 0`).
"""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks._table import DEVICE, Row, measure, parser_of
from benchmarks.evaluate import NETS, net
from seglight.inference import SlidingWindow
from seglight.interfaces import seg_output

CLASSES, STRIDE, OVERLAP = 19, 4, 0.25
KINDS, PEERS = ("stitching", "whole", "streamed"), ("MONAI", "mmsegmentation")
SMALL = "MobileNetV3-small 0.5, FPN at stride 4"
Step = Callable[[], Tensor]


class Bank(nn.Module):
    """Returns one of eight stored maps of logits, selected by the first pixel of a window, without any computation."""

    def __init__(self, window: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        side = window // STRIDE
        self.maps = [torch.randn(1, CLASSES, side, side, generator=generator).to(DEVICE) for _ in range(8)]

    def forward(self, image: Tensor) -> Tensor:
        """Map (1, 3, H, W) to logits (1, C, h, w)."""
        return self.maps[int(image[0, 0, 0, 0]) % len(self.maps)]


def net_of(kind: str, window: int) -> nn.Module:
    """Return a net with the same weights in every process."""
    chosen = Bank(window) if kind == "stitching" else net(*NETS[SMALL], CLASSES)
    return chosen.eval().to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def image_of(size: tuple[int, int]) -> Tensor:
    """Return a smooth uint8 image (1, 3, H, W), the same in every process."""
    coarse = torch.rand(1, 3, *(-(-length // 16) for length in size), generator=torch.Generator().manual_seed(0))
    channels = [F.interpolate(255 * one, size, mode="bilinear").to(torch.uint8) for one in torch.split(coarse, 1, 1)]
    return torch.cat(channels, 1).to(DEVICE)


def counts(labels: Tensor) -> Tensor:
    """Count the pixels of each class."""
    return torch.bincount(labels.flatten(), minlength=CLASSES)


def ours(kind: str, size: tuple[int, int], window: int) -> Step:
    """Return a step with seglight's bands of rows."""
    chosen, image = net_of(kind, window), image_of(size)
    inferer = SlidingWindow(window, OVERLAP, blending="uniform")
    if kind == "streamed":
        return lambda: torch.stack([counts(band) for _, band in inferer.rows(chosen, image[0])]).sum(0)
    return lambda: inferer.labels(chosen, image)


def _finished(kind: str, logits: Tensor) -> Tensor:
    labels = logits.argmax(1).to(torch.uint8)
    return counts(labels) if kind == "streamed" else labels


def _at_full_size(chosen: nn.Module, part: Tensor) -> Tensor:
    with torch.no_grad():
        return F.interpolate(seg_output(chosen(part)).logits, part.shape[-2:], mode="bilinear", align_corners=False)


def monai(kind: str, size: tuple[int, int], window: int) -> Step:
    """Return a step with MONAI as in its manual; it sums in the dtype of the image."""
    from monai.inferers.inferer import SlidingWindowInferer

    chosen, image = net_of(kind, window), image_of(size).float()
    inferer = SlidingWindowInferer((window, window), sw_batch_size=1, overlap=OVERLAP, mode="constant")

    def step() -> Tensor:
        logits: Any = inferer(image, lambda part: _at_full_size(chosen, part))
        return _finished(kind, logits)

    return step


def mmsegmentation(kind: str, size: tuple[int, int], window: int) -> Step:
    """Return a step that pads logits to the whole image and counts the windows over each pixel."""
    chosen, image = net_of(kind, window), image_of(size).float()
    step_size = int(window * (1 - OVERLAP))
    places = [
        sorted({min(start, length - window) for start in range(0, length - window + step_size, step_size)})
        for length in size
    ]

    def step() -> Tensor:
        total = image.new_zeros(1, CLASSES, *size)
        count = image.new_zeros(1, 1, *size)
        for y, x in itertools.product(*places):
            logits = _at_full_size(chosen, image[:, :, y : y + window, x : x + window])
            total += F.pad(logits, (x, size[1] - x - window, y, size[0] - y - window))
            count[:, :, y : y + window, x : x + window] += 1
        return _finished(kind, total / count)

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare all pixels, except near-ties."""
    assert ours.shape == peer.shape
    pixels = ours.sum() if ours.ndim == 1 else ours.size
    different = np.abs(ours - peer).sum() / 2 if ours.ndim == 1 else (ours != peer).sum()
    assert different <= 1e-5 * pixels, f"{different} pixels of {pixels} differ"


def size_of(text: str) -> tuple[int, int]:
    """Parse HxW into height and width."""
    height, width = map(int, re.fullmatch(r"(\d+)x(\d+)", text).groups())  # type: ignore[union-attr]
    return height, width


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("window", __doc__, rounds=5)
    parser.add_argument("--sizes", nargs="+", type=size_of, default=[(1024, 1024), (4096, 4096), (16384, 4096)])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, help="peers to compare with; default: both, with the limit above"
    )
    parser.add_argument("--window", type=int, default=512)
    options = parser.parse_args(args)
    rows = {
        f"{height}x{width}, {kind}, {name}": Row(
            ours, monai if name == "MONAI" else mmsegmentation, (kind, (height, width), options.window), check
        )
        for (height, width), kind, name in itertools.product(options.sizes, options.kinds, options.peers or PEERS)
        if options.peers or name == "MONAI" or math.prod((height, width)) <= 4096**2
    }
    measure(rows, options)
