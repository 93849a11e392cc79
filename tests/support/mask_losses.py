"""Outputs of nets that predict masks, and the loss of transformers at points that are given to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from seglight.interfaces import MaskOutput
from seglight.losses import MaskClassificationLoss
from seglight.ops.mask_targets import MaskTargets, semantic_targets
from seglight.ops.point_sampling import ImagePoints

IGNORE = 255


def drawn_labels(shape: tuple[int, int, int], classes: int, seed: int = 0, ignored: float = 0.0) -> Tensor:
    """Label maps, uint8 (B, H, W), in patches of which a share is ignored."""
    generator = torch.Generator().manual_seed(seed)
    batch, height, width = shape
    coarse = torch.randint(0, classes, (batch, 1, 5, 4), generator=generator)
    coarse[torch.rand(coarse.shape, generator=generator) < ignored] = IGNORE
    return F.interpolate(coarse.float(), (height, width))[:, 0].to(torch.uint8)


def drawn_output(
    shape: tuple[int, int, int, int], classes: int, outputs: int, seed: int = 0, device: str = "cpu"
) -> MaskOutput:
    """Logits of a net of Q queries (B, Q, h, w) and C classes, leaves of the graph, with `outputs` outputs in all."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(*size: int) -> Tensor:
        return (3 * torch.randn(size, generator=generator)).to(device).requires_grad_()

    *aux, last = (MaskOutput(leaf(*shape[:2], classes + 1), leaf(*shape)) for _ in range(outputs))
    return last._replace(aux=tuple(aux))


def leaves_of(output: MaskOutput) -> list[Tensor]:
    """The logits of all outputs, the last output first."""
    return [logits for each in (output, *output.aux) for logits in (each.class_logits, each.mask_logits)]


def given(mask: Tensor, loss: MaskClassificationLoss, step: int = 0) -> tuple[MaskTargets, list[ImagePoints]]:
    """What the loss takes beside the output for semantic labels."""
    targets = semantic_targets(mask, IGNORE)
    return targets, [loss.points(step, image, mask.device) for image in range(len(mask))]


def their_loss(classes: int, points: int, weights: Sequence[float] = (2.0, 5.0, 5.0)) -> Mask2FormerLoss:
    """The loss of transformers with the settings of the published recipes."""
    class_weight, mask_weight, dice_weight = weights
    config = Mask2FormerConfig(
        class_weight=class_weight, mask_weight=mask_weight, dice_weight=dice_weight, no_object_weight=0.1,
        train_num_points=points, oversample_ratio=3.0, importance_sample_ratio=0.75,
        id2label={k: str(k) for k in range(classes)},
    )  # fmt: skip
    return Mask2FormerLoss(config, {})


@contextmanager
def at_points(points: Sequence[ImagePoints], mask: Tensor) -> Iterator[None]:
    """Let transformers draw our points: first each image's for matching, then those of all pairs, for each output."""
    repeated = [k for k, classes in enumerate(semantic_targets(mask, IGNORE).classes) for _ in classes]
    one_output = [each.matching.unsqueeze(0) for each in points]
    one_output += [
        torch.stack([points[k].candidates for k in repeated]),
        torch.stack([points[k].uniform for k in repeated]),
    ]
    turn = 0

    def next_points(*size: int, **options: Any) -> Tensor:
        nonlocal turn
        found = one_output[turn % len(one_output)]
        turn += 1
        assert found.shape == size
        return found

    with mock.patch.object(torch, "rand", next_points):
        yield


def their_inputs(output: MaskOutput, mask: Tensor) -> tuple[Any, ...]:
    """The arguments of the loss of transformers."""
    classes = [torch.tensor(each, device=mask.device) for each in semantic_targets(mask, IGNORE).classes]
    masks = [(image == own[:, None, None]).float() for image, own in zip(mask, classes, strict=True)]
    aux = [{"masks_queries_logits": each.mask_logits, "class_queries_logits": each.class_logits} for each in output.aux]
    return output.mask_logits, output.class_logits, masks, classes, aux


def their_value(output: MaskOutput, mask: Tensor, points: Sequence[ImagePoints], theirs: Mask2FormerLoss) -> Tensor:
    """The loss of transformers, its parts weighted, at our points."""
    weights = {"cross_entropy": theirs.matcher.cost_class, "mask": theirs.matcher.cost_mask}
    weights["dice"] = theirs.matcher.cost_dice
    with at_points(points, mask):
        parts = theirs(*their_inputs(output, mask))
    return torch.stack([next(w for name, w in weights.items() if name in key) * v for key, v in parts.items()]).sum()
