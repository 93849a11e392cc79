"""Selection of hard pixels (OHEM) by threshold or order statistic, against the full sort of HRNet's loss.

Two parts are timed: the selection from the loss of each pixel, for which the peer also gets the probabilities; and the
whole loss from logits at stride 4, forward and backward. In the hard case the threshold decides; in the easy case too
few pixels are below it, and the order statistic decides.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.losses import OHEMCrossEntropy
from seglight.losses.ohem import hard_above

CLASSES, IGNORE, THRESHOLD = 19, 255, 0.7


def drawn(side: int, easy: bool, device: str) -> tuple[Tensor, Tensor]:
    """Return logits (1, C, side/4, side/4), nearly all correct in the easy case, and a mask with a tenth ignored."""
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(0, CLASSES, (1, 1, side // 4, side // 4), generator=generator)
    logits = 3 * torch.randn(1, CLASSES, side // 4, side // 4, generator=generator)
    logits.scatter_add_(1, small, torch.full(small.shape, 30.0 if easy else 0.0))
    mask = F.interpolate(logits, (side, side), mode="bilinear").argmax(1).to(torch.uint8)
    mask[torch.rand(mask.shape, generator=generator) < 0.1] = IGNORE
    if not easy:
        mask = mask.roll(side // 3, -1)
    return logits.to(device).requires_grad_(), mask.to(device)


def kept(side: int) -> int:
    """Return the minimum number of pixels: 100,000 for a crop of 768x768, as in the recipes."""
    return 100_000 * side**2 // 768**2


def pixel_losses(side: int, easy: bool, device: str) -> tuple[Tensor, Tensor]:
    """Return -log p of the targets (N,), and which of them are labelled."""
    logits, mask = drawn(side, easy, device)
    upsampled = F.interpolate(logits.detach(), mask.shape[-2:], mode="bilinear")
    losses = F.cross_entropy(upsampled, mask.long(), ignore_index=IGNORE, reduction="none").flatten()
    return losses, mask.flatten() != IGNORE


def our_selection(side: int, easy: bool, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step that computes the number and the mean loss of the hard pixels."""
    losses, labelled = pixel_losses(side, easy, device)
    losses = losses.masked_fill(~labelled, -1)

    def step() -> tuple[Tensor, Tensor]:
        above = hard_above(losses, THRESHOLD, kept(side))
        count = (losses > above).count_nonzero()
        return count, F.threshold(losses, float(above), 0.0).sum() / count

    return step


def their_selection(side: int, easy: bool, device: str) -> Callable[[], tuple[int, Tensor]]:
    """Return a step that computes the same by sorting all pixels by their probability."""
    losses, labelled = pixel_losses(side, easy, device)
    p = (-losses).exp()

    def step() -> tuple[int, Tensor]:
        hard = sorted_hard(losses, p, labelled, kept(side))
        return len(hard), hard.mean()

    return step


def sorted_hard(losses: Tensor, p: Tensor, labelled: Tensor, min_kept: int) -> Tensor:
    """Return the losses at probabilities below the larger of the threshold and the `min_kept`-th probability."""
    ordered, order = p[labelled].sort()
    limit = ordered[min(min_kept, len(ordered) - 1)].clamp(min=THRESHOLD)
    return losses[labelled][order][ordered < limit]


def our_loss(side: int, easy: bool, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step in bands."""
    logits, mask = drawn(side, easy, device)
    loss = OHEMCrossEntropy(IGNORE, THRESHOLD, kept(side))

    def step() -> tuple[Tensor, Tensor]:
        value = loss(logits, mask)
        return value, torch.autograd.grad(value, logits)[0]

    return step


def their_loss(side: int, easy: bool, device: str) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a step with upsampling, softmax for the order, cross-entropy without reduction, and a sort."""
    logits, mask = drawn(side, easy, device)
    target, labelled = mask.long(), mask.flatten() != IGNORE

    def step() -> tuple[Tensor, Tensor]:
        upsampled = F.interpolate(logits, target.shape[-2:], mode="bilinear", align_corners=False)
        losses = F.cross_entropy(upsampled, target, ignore_index=IGNORE, reduction="none").flatten()
        with torch.no_grad():
            own = target.masked_fill(target == IGNORE, 0).unsqueeze(1)
            p = upsampled.softmax(1).gather(1, own).flatten()
        value = sorted_hard(losses, p, labelled, kept(side)).mean()
        return value, torch.autograd.grad(value, logits)[0]

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare to 1e-5 of the largest; a count may differ by a pixel at the limit, due to float32 rounding."""
    for mine, theirs in zip(ours, peer, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("ohem", __doc__)
    parser.add_argument("--side", type=int, default=768, help="side length of the crop")
    options = parser.parse_args(args)
    hard, easy = (options.side, False, DEVICE), (options.side, True, DEVICE)
    measure(
        {
            "hard pixels, threshold decides": Row(our_selection, their_selection, hard, check),
            "hard pixels, order statistic": Row(our_selection, their_selection, easy, check),
            "whole loss, threshold decides": Row(our_loss, their_loss, hard, check),
            "whole loss, order statistic": Row(our_loss, their_loss, easy, check),
        },
        options,
    )
