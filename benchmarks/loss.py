"""Upsample + cross-entropy, forward and backward: in bands against `F.cross_entropy(F.interpolate(...))`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.losses.functional import upsampled_cross_entropy

IGNORE = 255
CASES = {
    "C=150 128->512 batch 2": ((2, 150, 128, 128), (512, 512)),
    "C=19 128x256->512x1024": ((1, 19, 128, 256), (512, 1024)),
    "C=11 72->288 batch 8": ((8, 11, 72, 72), (288, 288)),
    "C=19 64x128->512x1024": ((1, 19, 64, 128), (512, 1024)),
    "C=21 129->513 batch 2": ((2, 21, 129, 129), (513, 513)),
    "C=21 512->512": ((1, 21, 512, 512), (512, 512)),
}
"""Stride 4 on crops of ADE20K, Cityscapes and CamVid; stride 8; a factor that is not an integer; no upsampling."""

Case = tuple[tuple[int, int, int, int], tuple[int, int]]


def drawn(case: Case, device: str) -> tuple[Tensor, Tensor]:
    """Return logits, and a mask with a tenth of ignored pixels."""
    shape, size = case
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(shape, generator=generator)
    mask = torch.randint(0, shape[1], (shape[0], *size), generator=generator, dtype=torch.uint8)
    mask[torch.rand(mask.shape, generator=generator) < 0.1] = IGNORE
    return logits.to(device).requires_grad_(), mask.to(device)


def ours(case: Case, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step in bands; the mask is uint8."""
    logits, mask = drawn(case, device)

    def step() -> tuple[Tensor, Tensor]:
        loss = upsampled_cross_entropy(logits, mask, ignore_index=IGNORE)
        return loss, torch.autograd.grad(loss, logits)[0]

    return step


def peer(case: Case, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step with torch's functions; the mask is converted to int64 before the time starts."""
    logits, mask = drawn(case, device)
    labels = mask.long()

    def step() -> tuple[Tensor, Tensor]:
        upsampled = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(upsampled, labels, ignore_index=IGNORE)
        return loss, torch.autograd.grad(loss, logits)[0]

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare value and gradient to 1e-5 of the largest."""
    for mine, theirs in zip(ours, peer, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("loss", __doc__)
    parser.add_argument("--scale", type=int, default=1, help="divisor of all lengths, for a quick trial")
    options = parser.parse_args(args)
    rows = {}
    for name, ((batch, classes, *small), large) in CASES.items():
        case = (batch, classes, *(side // options.scale for side in small)), tuple(s // options.scale for s in large)
        rows[name] = Row(ours, peer, (case, DEVICE), check)
    measure(rows, options)
