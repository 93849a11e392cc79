"""Cross-entropy and Dice loss of the masks of matched queries at sampled points; the gradient is found on the way."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.losses.query_matching import Matches, Weights
from seglight.ops.mask_targets import MaskTargets, target_samples
from seglight.ops.point_sampling import ImagePoints, corners, samples, samples_backward


class Samples(NamedTuple):
    """Samples of the masks of matched queries and of the masks that they learn, n pairs.

    Attributes:
        logits: (n, K).
        shares: (n, K), how much of each sample is in the mask.
        labelled: (n, K), how much of each sample is not ignored.
    """

    logits: Tensor
    shares: Tensor
    labelled: Tensor


def mask_loss(
    mask_logits: Sequence[Tensor],
    matches: Sequence[Matches],
    targets: MaskTargets,
    points: Sequence[ImagePoints],
    uncertain: int,
    weights: Weights,
    scale: Tensor,
) -> Tensor:
    """Weighted sum of the cross-entropy and the Dice loss over all matched pairs, times a scale.

    Args:
        mask_logits: Of each output, (B, Q, h, w).
        matches: The pairs of each image.
        targets: The masks of the images.
        points: The points of each image: of its candidates a pair takes those with the smallest absolute logits.
        uncertain: Number of candidates that a pair takes.
        weights: Weights of the parts.
        scale: Scalar.
    """
    loss: Tensor = _MaskLoss.apply(matches, targets, points, uncertain, weights, scale, *mask_logits)
    return loss


def parts(given: Samples, weights: Weights) -> tuple[Tensor, Tensor]:
    """The loss of each pair (n,), and its gradient by the logits (n, K).

    Cross-entropy is a mean over the labelled samples. Dice is 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), of which
    the ignored part of a sample is no part (Milletari et al. 2016, with sums in place of sums of squares).
    """
    logits, shares, labelled = given
    probs = logits.sigmoid()
    number = labelled.sum(1).clamp(min=1e-6)
    entropy = (labelled * F.softplus(logits) - shares * logits).sum(1) / number
    over = 2 * (probs * shares).sum(1) + 1
    under = (probs * labelled).sum(1) + shares.sum(1) + 1
    value = weights.mask * entropy + weights.dice * (1 - over / under)
    by_probs = labelled * (over / under.square()).unsqueeze(1) - shares * (2 / under).unsqueeze(1)
    by_dice = by_probs.mul_(probs).mul_(1 - probs)
    gradient = probs.mul_(labelled).sub_(shares).mul_((weights.mask / number).unsqueeze(1))
    return value, gradient.add_(by_dice, alpha=weights.dice)


def chosen_points(logits: Tensor, labelled: Tensor, candidates: int, uncertain: int) -> Tensor:
    """Which points each pair takes: its most uncertain candidates that are labelled, and all uniform points.

    Args:
        logits: (n, P) at the candidates and then at the uniform points.
        labelled: (P,) weight of each point.
        candidates: Number of candidates.
        uncertain: Number of candidates that a pair takes.

    Returns:
        int64 (n, K), index into the points.
    """
    certainty = logits[:, :candidates].abs().masked_fill_(labelled[:candidates] == 0, torch.inf)
    taken = certainty.topk(uncertain, largest=False, sorted=False).indices
    uniform = torch.arange(candidates, logits.shape[1], device=logits.device).expand(len(logits), -1)
    return torch.cat([taken, uniform], 1)


class _MaskLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        matches: Sequence[Matches],
        targets: MaskTargets,
        points: Sequence[ImagePoints],
        uncertain: int,
        weights: Weights,
        scale: Tensor,
        *mask_logits: Tensor,
    ) -> Tensor:
        total = torch.zeros((), device=scale.device)
        gradients: list[list[Tensor]] = [[] for _ in mask_logits]
        size = (mask_logits[0].shape[-2], mask_logits[0].shape[-1])
        needs_gradient = any(ctx.needs_input_grad)
        for k, pairs in enumerate(matches):
            if not pairs.queries.shape[1]:
                continue
            places = torch.cat([points[k].candidates, points[k].uniform])
            shares, labelled = target_samples(targets.maps[k], pairs.ids, targets.ignored, places)
            around = corners(places, size)
            for output, found, queries, masks in zip(mask_logits, gradients, pairs.queries, pairs.masks, strict=True):
                logits = samples(output[k, queries], places)
                chosen = chosen_points(logits, labelled, len(points[k].candidates), uncertain)
                taken = Samples(logits.gather(1, chosen), shares[masks].gather(1, chosen), labelled[chosen])
                value, gradient = parts(taken, weights)
                total += value.sum()
                if needs_gradient:
                    found.append(samples_backward(gradient, around, chosen, size))
        if needs_gradient:
            images = torch.cat([torch.full_like(pairs.queries[0], k) for k, pairs in enumerate(matches)])
            queries = torch.cat([pairs.queries for pairs in matches], 1)
            none = total.new_empty((0, *size))
            ctx.save_for_backward(scale, images, queries, *(torch.cat([none, *found]) for found in gradients))
            ctx.shape = mask_logits[0].shape
            ctx.dtypes = [logits.dtype for logits in mask_logits]
        return total * scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        scale, images, queries, *gradients = ctx.saved_tensors
        by_logits = []
        for gradient, dtype, rows in zip(gradients, ctx.dtypes, queries, strict=True):
            full = torch.zeros(ctx.shape, dtype=dtype, device=gradient.device)
            # float16 only after the loss scale is in grad_loss: a share of a mean over many points underflows
            full[images, rows] = (gradient * (grad_loss * scale)).to(dtype)
            by_logits.append(full)
        return None, None, None, None, None, None, *by_logits
