"""Updates of the Jaccard index at 1024x2048 with 19 classes, against torchmetrics' `MulticlassJaccardIndex`."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.metrics import JaccardIndex

CLASSES, IGNORE, STRIDE = 19, 255, 4
Size = tuple[int, int]


def drawn(size: Size, smooth: bool, device: str) -> tuple[Tensor, Tensor]:
    """Return logits (1, C, H/4, W/4) and a uint8 mask (1, H, W), of noise or of blobs like those of street scenes."""
    generator = torch.Generator().manual_seed(0)
    small = [side // STRIDE for side in size]
    grain = 16 if smooth else 1
    coarse = torch.randn(1, CLASSES, *(-(-side // grain) for side in small), generator=generator)
    logits = 4 * F.interpolate(coarse, small, mode="bicubic") if smooth else coarse
    near = logits + torch.randn(logits.shape, generator=generator)
    mask = F.interpolate(near, size, mode="bilinear").argmax(1).to(torch.uint8)
    mask[:, : size[0] // 16] = IGNORE
    return logits.to(device), mask.to(device)


def labels(size: Size, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Return predicted and true labels (1, H, W)."""
    logits, mask = drawn(size, True, device)
    pred = F.interpolate(logits, size, mode="bilinear").argmax(1)
    return pred.to(dtype), mask.to(dtype)


def ours_from_labels(size: Size, dtype: torch.dtype, options: dict[str, bool], device: str) -> Callable[[], Tensor]:
    """Return a step with our update."""
    if "deterministic" in options:
        torch.use_deterministic_algorithms(True)
    metric = JaccardIndex(CLASSES, IGNORE).to(device)
    return counting(metric, *labels(size, dtype, device))


def peer_from_labels(size: Size, dtype: torch.dtype, options: dict[str, bool], device: str) -> Callable[[], Tensor]:
    """Return a step with torchmetrics' update."""
    if "deterministic" in options:
        torch.use_deterministic_algorithms(True)
    validate = options.get("validate_args", True)
    metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORE, validate_args=validate).to(device)
    return counting(metric, *labels(size, dtype, device))


def ours_from_logits(size: Size, smooth: bool, device: str) -> Callable[[], Tensor]:
    """Return a step with our update, which upsamples."""
    return counting(JaccardIndex(CLASSES, IGNORE).to(device), *drawn(size, smooth, device))


def peer_from_logits(size: Size, smooth: bool, device: str) -> Callable[[], Tensor]:
    """Return a step with upsampling, argmax, and torchmetrics' update without its checks."""
    metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORE, validate_args=False).to(device)
    logits, mask = drawn(size, smooth, device)

    def step() -> Tensor:
        metric.reset()
        upsampled = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        metric.update(upsampled.argmax(1), mask)
        return metric.confmat

    return step


def counting(metric: Any, preds: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """Return a step that counts one image."""

    def step() -> Tensor:
        metric.reset()
        metric.update(preds, target)
        counted: Tensor = metric.confmat
        return counted

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare the matrices for equality."""
    np.testing.assert_array_equal(ours, peer)


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("metric", __doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), help="height and width of the image")
    options = parser.parse_args(args)
    warnings.filterwarnings("ignore", module="torchmetrics")
    size = tuple(options.size)
    half = tuple(side // 2 for side in size)  # at full size the peer takes 12.7 GB and a minute

    def counting_labels(size: Size, dtype: torch.dtype, **how: bool) -> Row:
        return Row(ours_from_labels, peer_from_labels, (size, dtype, how, DEVICE), check)

    measure(
        {
            "labels uint8": counting_labels(size, torch.uint8),
            "labels int64": counting_labels(size, torch.int64),
            "labels uint8, validate_args=False": counting_labels(size, torch.uint8, validate_args=False),
            "logits at stride 4, blobs": Row(ours_from_logits, peer_from_logits, (size, True, DEVICE), check),
            "logits at stride 4, noise": Row(ours_from_logits, peer_from_logits, (size, False, DEVICE), check),
            "labels uint8, half the size, deterministic": counting_labels(half, torch.uint8, deterministic=True),
        },
        options,
    )
