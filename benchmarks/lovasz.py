"""Lovász-Softmax, forward and backward from logits at stride 4: by histograms and exact, against the authors' form.

The peer is the loss of segmentation_models.pytorch on upsampled logits. Before anything is timed, the values are
compared with a tolerance of the proven bound of the histograms, 1 / (2 bins), and of 1e-4 for the exact form, because
the peer's float32 value is not more accurate (in the first case it differs by 2.4e-5 from float64, ours by 7e-9). The
tests compare ours with float64 to 1e-5.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.losses import LovaszSoftmax

IGNORE, BINS = 255, 1024
CASES = {
    "C=19 128x256->512x1024": ((1, 19, 128, 256), (512, 1024)),
    "C=21 128->512 batch 4": ((4, 21, 128, 128), (512, 512)),
}

Case = tuple[tuple[int, int, int, int], tuple[int, int]]


def drawn(case: Case, device: str) -> tuple[Tensor, Tensor]:
    """Return logits of blobs, and a mask of their labels with noise and a tenth of ignored pixels."""
    (batch, classes, *small), size = case
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(batch, classes, *(side // 8 for side in small), generator=generator)
    logits = 6 * F.interpolate(coarse, small, mode="bicubic")
    near = logits + torch.randn(logits.shape, generator=generator)
    mask = F.interpolate(near, size, mode="bilinear").argmax(1).to(torch.uint8)
    mask[torch.rand(mask.shape, generator=generator) < 0.1] = IGNORE
    return logits.to(device).requires_grad_(), mask.to(device)


def ours(bins: int | None, case: Case, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step in bands."""
    logits, mask = drawn(case, device)
    loss = LovaszSoftmax(IGNORE, bins)

    def step() -> tuple[Tensor, Tensor]:
        value = loss(logits, mask)
        return value, torch.autograd.grad(value, logits)[0]

    return step


def peer(bins: int | None, case: Case, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step that sorts the errors of each class at full size."""
    logits, mask = drawn(case, device)
    labels, loss = mask.long(), LovaszLoss("multiclass", ignore_index=IGNORE)

    def step() -> tuple[Tensor, Tensor]:
        upsampled = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
        value = loss(upsampled, labels)
        return value, torch.autograd.grad(value, logits)[0]

    return step


def check(bins: int | None, ours: Any, peer: Any) -> None:
    """Compare the value within its bound, and the exact form's gradient to 1e-3 of the largest."""
    (value, gradient), (expected, exact) = ours, peer
    bound = 0.5 / bins if bins else 1e-4 * expected
    assert abs(value - expected) <= bound, f"{value} is not within {bound} of {expected}"
    cosine = (gradient * exact).sum() / np.linalg.norm(gradient) / np.linalg.norm(exact)
    apart = np.abs(gradient - exact).max() / np.abs(exact).max()
    print(f"values differ by {abs(value - expected):.1e}, gradients by {apart:.1e} of the largest, cosine {cosine:.6f}")
    if bins is None:
        assert apart < 1e-3


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("lovasz", __doc__, rounds=5)
    parser.add_argument("--scale", type=int, default=1, help="divisor of all lengths, for a quick trial")
    options = parser.parse_args(args)
    rows = {}
    for name, ((batch, classes, *small), large) in CASES.items():
        case = (batch, classes, *(side // options.scale for side in small)), tuple(s // options.scale for s in large)
        for form, bins in {f"{BINS} bins": BINS, "exact": None}.items():
            rows[f"{name}, {form}"] = Row(ours, peer, (bins, case, DEVICE), partial(check, bins))
    measure(rows, options)
