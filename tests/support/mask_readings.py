"""The published reading of mask classification, written plainly: all masks at the image's size, one query at a time.

Semantic, panoptic and instance inference of Mask2Former's `maskformer_model.py`, which EoMT has, too.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor


def upsampled(masks: Tensor, size: tuple[int, int], part: tuple[int, int]) -> Tensor:
    """(Q, h, w) to (Q, H, W): the part of the image within the padded size."""
    full = F.interpolate(masks[None].float(), size, mode="bilinear", align_corners=False)[0]
    return full[:, : part[0], : part[1]]


def semantic(classes: Tensor, masks: Tensor) -> Tensor:
    """Scores (C, H, W) of class logits (Q, C + 1) and mask logits (Q, H, W)."""
    return torch.einsum("qc,qhw->chw", classes.softmax(-1)[:, :-1], masks.sigmoid())


def panoptic(
    classes: Tensor, masks: Tensor, stuff: Collection[int], object_threshold: float = 0.8, overlap: float = 0.8
) -> tuple[Tensor, list[tuple[int, float]]]:
    """Ids (H, W) from 1, 0 for none, and the class and score of each id."""
    scores, labels = classes.softmax(-1).max(-1)
    keep = (labels != classes.shape[1] - 1) & (scores > object_threshold)
    scores, labels, probabilities = scores[keep], labels[keep], masks[keep].sigmoid()
    ids = torch.zeros(masks.shape[1:], dtype=torch.int32)
    found: list[tuple[int, float]] = []
    if not len(scores):
        return ids, found
    winner = (scores[:, None, None] * probabilities).argmax(0)
    joined: dict[int, int] = {}
    for k, label in enumerate(labels.tolist()):
        won, own = winner == k, probabilities[k] >= 0.5
        if not won.any() or not own.any() or not (won & own).any():
            continue
        if int(won.sum()) / int(own.sum()) < overlap:
            continue
        if label in joined:
            ids[won & own] = joined[label]
            continue
        found.append((label, float(scores[k])))
        ids[won & own] = len(found)
        if label in stuff:
            joined[label] = len(found)
    return ids, found


def instances(classes: Tensor, masks: Tensor, things: Collection[int], most: int) -> list[tuple[int, float, Tensor]]:
    """Class, score and mask (H, W) of each instance, by falling score."""
    number = classes.shape[1] - 1
    scores, pairs = classes.softmax(-1)[:, :-1].flatten().topk(most)
    found = []
    for score, pair in zip(scores.tolist(), pairs.tolist(), strict=True):
        query, label = divmod(pair, number)
        if label in things:
            mask = masks[query] > 0
            mean = float((masks[query].sigmoid() * mask).sum() / (mask.sum() + 1e-6))
            found.append((label, score * mean, mask))
    return sorted(found, key=lambda each: -each[1])
