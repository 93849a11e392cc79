"""Loss of mask classification, forward and backward, against Mask2FormerLoss of transformers at the same points.

transformers draws points for each mask, here those of ours: it does not spend the time of drawing them, and we do.
"""

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._table import DEVICE, Row, measure, parser_of
from seglight.interfaces import MaskOutput
from seglight.losses import MaskClassificationLoss
from seglight.ops.mask_targets import semantic_targets

IGNORE = 255
CLASSES = 150
QUERIES = 100
CASES = {"2 images, 4 blocks (EoMT-L)": (2, 5), "1 image, 9 layers (Mask2Former)": (1, 10)}
"""Images and outputs of the net, with masks at a stride of 4."""


def drawn(images: int, outputs: int, side: int) -> tuple[MaskOutput, Tensor]:
    """Outputs that are right at some pixels, and label maps in patches with about 20 classes an image."""
    generator = torch.Generator().manual_seed(0)
    some = torch.randint(0, CLASSES, (images, 1, 5, 5), generator=generator)
    mask = F.interpolate(some.float(), (side, side))[:, 0].to(torch.uint8)

    def logits(*shape: int) -> Tensor:
        return (3 * torch.randn(shape, generator=generator)).to(DEVICE).requires_grad_()

    *aux, last = (
        MaskOutput(logits(images, QUERIES, CLASSES + 1), logits(images, QUERIES, side // 4, side // 4))
        for _ in range(outputs)
    )
    return last._replace(aux=tuple(aux)), mask.to(DEVICE)


def leaves_of(output: MaskOutput) -> list[Tensor]:
    """The logits of all outputs."""
    return [logits for each in (output, *output.aux) for logits in each[:2]]


def ours(images: int, outputs: int, side: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return a step that draws the points, finds the masks and computes value and gradients."""
    output, mask = drawn(images, outputs, side)
    loss = MaskClassificationLoss(IGNORE)

    def step() -> tuple[Tensor, ...]:
        points = [loss.points(0, image, mask.device) for image in range(images)]
        value = loss(output, semantic_targets(mask, IGNORE, mask.cpu()), points)
        return value, *torch.autograd.grad(value, leaves_of(output))

    return step


def peer(images: int, outputs: int, side: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return a step of transformers, whose masks are stacked as its processor gives them."""
    from transformers import Mask2FormerConfig
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

    output, mask = drawn(images, outputs, side)
    config = Mask2FormerConfig(
        class_weight=2.0, mask_weight=5.0, dice_weight=5.0, no_object_weight=0.1,
        train_num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75,
        id2label={k: str(k) for k in range(CLASSES)},
    )  # fmt: skip
    criterion = Mask2FormerLoss(config, {}).to(DEVICE)
    classes = [image.unique().long() for image in mask]
    repeated = torch.tensor([k for k, own in enumerate(classes) for _ in own])
    loss = MaskClassificationLoss(IGNORE)
    points = [loss.points(0, image, mask.device) for image in range(images)]
    drawn_points = [each.matching.unsqueeze(0) for each in points]
    drawn_points += [torch.stack(part)[repeated] for part in list(zip(*points, strict=True))[1:]]
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    turn = 0

    def next_points(*size: int, **options: Any) -> Tensor:
        nonlocal turn
        turn += 1
        return drawn_points[(turn - 1) % len(drawn_points)]

    def step() -> tuple[Tensor, ...]:
        masks = [(image == own[:, None, None]).float() for image, own in zip(mask, classes, strict=True)]
        aux = [
            {"masks_queries_logits": each.mask_logits, "class_queries_logits": each.class_logits} for each in output.aux
        ]
        with mock.patch.object(torch, "rand", next_points):
            parts = criterion(output.mask_logits, output.class_logits, masks, classes, aux)
        weighted = [
            next(w for name, w in weights.items() if key.startswith(name)) * part for key, part in parts.items()
        ]
        value = torch.stack(weighted).sum()
        return value, *torch.autograd.grad(value, leaves_of(output))

    return step


def check(ours: Any, peer: Any) -> None:
    """Compare value and gradients to 1e-5 of the largest."""
    for mine, theirs in zip(ours, peer, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("mask_loss", __doc__, rounds=5)
    parser.add_argument("--side", type=int, default=512, help="side length of the images")
    options = parser.parse_args(args)
    measure({name: Row(ours, peer, (*case, options.side), check) for name, case in CASES.items()}, options)
