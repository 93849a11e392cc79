"""Updates of the panoptic quality at 640x640 with 40 segments, against torchmetrics' `PanopticQuality`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import PanopticQuality as Peer

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.metrics import PanopticQuality

THINGS, STUFF = range(80), range(80, 133)
"""As many classes as in COCO."""


def drawn(size: int, segments: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return numbers of predicted and true segments (H, W), from 1, and the class of each, which both have."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    centres = rng.uniform(0, size, (segments, 2)).astype(np.float32)
    moved = centres + rng.normal(0, size / 100, centres.shape).astype(np.float32)
    maps = [
        np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in each], 0).astype(np.int32) + 1 for each in (moved, centres)
    ]
    # each kind of stuff is one segment
    classes = np.concatenate([rng.integers(0, len(THINGS), segments // 2), rng.permutation(STUFF)[: -(-segments // 2)]])
    return torch.from_numpy(maps[0]).to(DEVICE), torch.from_numpy(maps[1]).to(DEVICE), torch.from_numpy(classes)


def ours(size: int, segments: int) -> Callable[[], Tensor]:
    """Return a step with our update of one image, which gives the PQ of each class."""
    predicted, true, classes = drawn(size, segments)
    metric = PanopticQuality(len(THINGS) + len(STUFF)).to(DEVICE)

    def step() -> Tensor:
        metric.reset()
        metric.update(predicted, classes, true, classes)
        return torch.from_numpy(np.nan_to_num(metric.compute().pq))

    return step


def peer(size: int, segments: int) -> Callable[[], Tensor]:
    """Return a step with torchmetrics' update: pairs (H, W, 2) of class and number, made before."""
    predicted, true, classes = drawn(size, segments)
    pairs = [torch.stack([classes.to(DEVICE)[each.long() - 1], each.long()], -1)[None] for each in (predicted, true)]
    metric = Peer(set(THINGS), set(STUFF), return_per_class=True).to(DEVICE)

    def step() -> Tensor:
        metric.reset()
        metric.update(*pairs)
        found: Tensor = metric.compute()
        return found.flatten().cpu()

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare the PQ of each class; torchmetrics computes in float32 or float64."""
    assert len(ours) == len(peer) == len(THINGS) + len(STUFF)
    assert 0.2 < float(ours.sum()) / 40 <= 1
    np.testing.assert_allclose(ours, np.nan_to_num(peer), rtol=0, atol=1e-6)


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("panoptic", __doc__, rounds=5)
    parser.add_argument("--size", type=int, default=640, help="height and width of the image")
    parser.add_argument("--segments", type=int, default=40, help="number of segments")
    options = parser.parse_args(args)
    measure({"PQ of an image": Row(ours, peer, (options.size, options.segments), check)}, options)
