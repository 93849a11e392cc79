"""Which query of a mask-classification net learns which mask: the costs of all pairs, and their assignment."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.interfaces import MaskOutput
from seglight.ops.assignment import assign
from seglight.ops.mask_targets import MaskTargets, target_samples
from seglight.ops.point_sampling import ImagePoints, samples


class Weights(NamedTuple):
    """Weights of the parts of a cost or a loss: cross-entropy of the classes, and of the masks; Dice of the masks."""

    classes: float
    mask: float
    dice: float


class Matches(NamedTuple):
    """The pairs of one image, for each output of a net.

    Attributes:
        queries: int64 (outputs, n), ascending.
        masks: int64 (outputs, n), index into the masks of the image.
        ids: int64 (T,) value of each mask of the image.
        classes: int64 (T,) class of each mask of the image.
    """

    queries: Tensor
    masks: Tensor
    ids: Tensor
    classes: Tensor


@torch.no_grad()
def match(
    outputs: Sequence[MaskOutput], targets: MaskTargets, points: Sequence[ImagePoints], weights: Weights
) -> list[Matches]:
    """Match queries and masks one to one, in each image and for each output of a net.

    Args:
        outputs: The outputs, for the same B images.
        targets: The masks of the images.
        points: The points of each image, of which those for matching are used.
        weights: Weights of the parts of the cost.
    """
    counts = [len(ids) for ids in targets.ids]
    most = max(counts)
    host = [[*ids, *[0] * (most - len(ids))] for table in (targets.ids, targets.classes) for ids in table]
    ids, classes = torch.tensor(host, dtype=torch.int64, device=targets.maps.device).view(2, len(counts), most)
    queries = outputs[0].class_logits.shape[1]
    costs = torch.zeros((len(outputs), len(counts), queries, most), device=ids.device)
    for k, count in enumerate(counts):
        if not count:
            continue
        shares, labelled = target_samples(targets.maps[k], ids[k, :count], targets.ignored, points[k].matching)
        for output, cost in zip(outputs, costs[:, k], strict=True):
            logits = samples(output.mask_logits[k], points[k].matching)
            probs = output.class_logits[k].float().softmax(-1)
            cost[:, :count] = mask_costs(logits, shares, labelled, weights)
            cost[:, :count] -= weights.classes * probs[:, classes[k, :count]]
    pairs = assign(costs, counts)
    return [Matches(*pairs[k], ids[k, :count], classes[k, :count]) for k, count in enumerate(counts)]


def mask_costs(logits: Tensor, shares: Tensor, labelled: Tensor, weights: Weights) -> Tensor:
    """Cost (Q, T) of the mask of each query for each mask, from their samples.

    That of Mask2Former (arXiv 2112.01527, section 3.3), where a sample counts as much as it is labelled. Cross-entropy
    needs one matrix product: it is softplus(logit) - logit * share.

    Args:
        logits: (Q, P).
        shares: (T, P).
        labelled: (P,) weight of each sample.
        weights: Weights of the parts.
    """
    shares = shares.T
    entropy = (F.softplus(logits) @ labelled).unsqueeze(1) - logits @ shares
    probs = logits.sigmoid()
    area = (probs @ labelled).unsqueeze(1) + shares.sum(0)
    dice = 1 - (2 * probs @ shares + 1) / (area + 1)
    return weights.mask / labelled.sum().clamp(min=1e-6) * entropy + weights.dice * dice
