"""Reading of mask classification: label maps, panoptic segments and instances from queries with a class and a mask.

Masks are upsampled in bands of pixels, as logits are: the masks of all queries at the image's size are never in memory.
Cheng et al., Per-Pixel Classification is Not All You Need for Semantic Segmentation (NeurIPS 2021), sections 3.4 and
A.1, and Masked-attention Mask Transformer for Universal Image Segmentation (CVPR 2022), appendix A, define them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seglight.ops.bands import Band, bands, full_precision
from seglight.ops.blending import first_largest
from seglight.ops.label_tensors import label_dtype

LEAST_SCORE = 0.8
"""A query is part of a panoptic result if the probability of its class is above this."""

LEAST_SHARE = 0.8
"""A segment is kept if it wins at least this share of the pixels of its query's mask."""

MOST_INSTANCES = 100
"""Number of instances of an image, as in COCO's evaluation."""

TINY = 1e-30
"""Smallest sum of semantic scores that is divided by, and smallest probability whose logarithm is taken."""


@dataclass(frozen=True)
class PanopticSegments:
    """Segments of an image that do not overlap.

    Attributes:
        ids: int32 (H, W), k + 1 where segment k is, 0 where there is none.
        classes: int64 (n,) class of each segment.
        scores: float32 (n,) probability of the class of each segment's query; of joined stuff, that of the first.
    """

    ids: Tensor
    classes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Instances:
    """Instances of an image, which can overlap, the most certain first.

    Attributes:
        classes: int64 (n,) class of each instance.
        scores: float32 (n,) probability of the class times the mean probability of the pixels of the mask.
        queries: int64 (n,) row of each instance in `packed`: a query can be several instances, of different classes.
        packed: uint8 (m, H, ceil(W / 8)) masks, a bit a pixel, the leftmost pixel in the highest bit.
        width: Width W of the image.
    """

    classes: Tensor
    scores: Tensor
    queries: Tensor
    packed: Tensor
    width: int

    def masks(self) -> Iterator[Tensor]:
        """Yield the mask of each instance, bool (H, W)."""
        for row in self.queries.tolist():
            yield _unpacked(self.packed[row], self.width)


def semantic_scores(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Score of each class at the stride of the masks: the sum over queries of class times mask probability.

    The scores of a pixel do not sum to one: see `semantic_logits`.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).

    Returns:
        float32 (B, C, h, w).
    """
    return torch.einsum("bqc,bqhw->bchw", class_logits.float().softmax(-1)[..., :-1], mask_logits.float().sigmoid())


def semantic_logits(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Per-pixel logits (B, C, h, w) at the stride of the masks, whose softmax is the scores divided by their sum.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).
    """
    scores = semantic_scores(class_logits, mask_logits)
    return (scores / scores.sum(1, keepdim=True).clamp_(min=TINY)).clamp_(min=TINY).log_()


def semantic_labels(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The class with the largest score of the upsampled masks at each pixel, the first of them if several are equal.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).
        size: Height and width (H, W) of the label map.

    Returns:
        (B, H, W) uint8, or int32 for more than 255 classes.
    """
    classes = class_logits.shape[-1] - 1
    labels = torch.empty((len(mask_logits), *size), dtype=label_dtype(classes), device=mask_logits.device)
    for band, scores in _semantic_bands(class_logits, mask_logits, size):
        band.put(labels, torch.stack([first_largest(image) for image in scores]))
    return labels


def semantic_probabilities(
    class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int]
) -> Iterator[tuple[Band, Tensor]]:
    """Yield the scores of the upsampled masks divided by their sum over the classes, band by band.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).
        size: Height and width (H, W) of the upsampled map.

    Yields:
        A band, and the probabilities (b, C, P) of its pixels in its own order, as `upsampled_softmax` does.
    """
    for band, scores in _semantic_bands(class_logits, mask_logits, size):
        yield band, scores.div_(scores.sum(1, keepdim=True).clamp_(min=TINY))


def _semantic_bands(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int]) -> Iterator[tuple[Band, Tensor]]:
    weights = class_logits.float().softmax(-1)[..., :-1].transpose(1, 2).contiguous()
    with torch.autocast(mask_logits.device.type, enabled=False), full_precision():
        for band in bands(mask_logits, size):
            yield band, weights[band.images] @ band.values.sigmoid_()


def panoptic_segments(
    class_logits: Tensor,
    mask_logits: Tensor,
    size: tuple[int, int],
    stuff: Collection[int],
    image_size: tuple[int, int] | None = None,
    least_score: float = LEAST_SCORE,
    least_share: float = LEAST_SHARE,
) -> list[PanopticSegments]:
    """Assign each pixel to at most one query; segments of one stuff class are joined.

    Queries whose most probable class is "no object", or not more probable than `least_score`, are dropped. Each pixel
    goes to the query with the largest product of class and mask probability, if its mask probability is at least a
    half. A segment is dropped if its query wins less than `least_share` of the number of pixels of its mask. The
    published code of MaskFormer, Mask2Former and EoMT does the same.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).
        size: Height and width that the masks are upsampled to.
        stuff: Classes without instances.
        image_size: Height and width (H, W) of the image in the upper left corner, where the net's input was padded.
            None: `size`.
        least_score: Class probability above which a query counts.
        least_share: Smallest share of the pixels of its mask that a query has to win.

    Returns:
        The segments of each image.
    """
    probability, label = class_logits.float().softmax(-1).max(-1)
    kept = (label != class_logits.shape[-1] - 1) & (probability > least_score)
    found = []
    for masks, keep, scores, classes in zip(mask_logits, kept, probability, label, strict=True):
        winner, counts = _winners(masks[keep], scores[keep], size, image_size or size)
        found.append(_joined(winner, counts, classes[keep], scores[keep], stuff, least_share))
    return found


def _winners(masks: Tensor, scores: Tensor, size: tuple[int, int], part: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Find which query wins each pixel.

    Args:
        masks: (n, h, w) logits of the queries that count.
        scores: (n,) class probability of each.
        size: Height and width that the masks are upsampled to.
        part: Height and width (H, W) of the image within.

    Returns:
        int32 (H, W), k + 1 where query k wins and its mask is, 0 elsewhere; and int64 (3, n), the numbers of pixels
        that each query wins, that its mask has, and that are both.
    """
    number = len(masks)
    winner = torch.zeros(part, dtype=torch.int32, device=masks.device)
    counts = torch.zeros((3, number), dtype=torch.int64, device=masks.device)
    if not number:
        return winner, counts
    for rows, values in _image_bands(masks, size, part):
        inside = values.sigmoid_() >= 0.5
        best = first_largest(values.mul_(scores[:, None])).long()
        right = inside.gather(0, best[None])[0]
        counts[0] += torch.bincount(best, minlength=number)
        counts[1] += inside.sum(1)
        counts[2] += torch.bincount(best[right], minlength=number)
        winner[rows] = torch.where(right, best + 1, 0).to(winner.dtype).view(-1, part[1])
    return winner, counts


def _joined(
    winner: Tensor, counts: Tensor, classes: Tensor, scores: Tensor, stuff: Collection[int], least_share: float
) -> PanopticSegments:
    """Drop segments that lost most of their mask, join those of one stuff class, and number the rest."""
    new = torch.zeros(len(classes) + 1, dtype=winner.dtype)
    first: list[int] = []
    of_stuff: dict[int, int] = {}
    for k, (label, (won, own, both)) in enumerate(zip(classes.tolist(), counts.t().tolist(), strict=True)):
        if min(won, own, both) == 0 or won / own < least_share:
            continue
        if label in of_stuff:
            new[k + 1] = of_stuff[label]
            continue
        first.append(k)
        new[k + 1] = len(first)
        if label in stuff:
            of_stuff[label] = len(first)
    chosen = torch.tensor(first, dtype=torch.int64, device=classes.device)
    return PanopticSegments(new.to(winner.device)[winner.long()], classes[chosen], scores[chosen])


def instances(
    class_logits: Tensor,
    mask_logits: Tensor,
    size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    things: Collection[int] | None = None,
    most: int = MOST_INSTANCES,
) -> list[Instances]:
    """The most probable pairs of query and class, each with the pixels where the query's mask logit is positive.

    The published code of Mask2Former, also for EoMT.

    Args:
        class_logits: (B, Q, C + 1); the last column is "no object".
        mask_logits: (B, Q, h, w).
        size: Height and width that the masks are upsampled to.
        image_size: Height and width (H, W) of the image in the upper left corner, where the net's input was padded.
            None: `size`.
        things: Classes that have instances: pairs of others are dropped after the most probable were chosen. None: all.
        most: Number of pairs of an image.

    Returns:
        The instances of each image, in the order of their scores.
    """
    number = class_logits.shape[-1] - 1
    probabilities = class_logits.float().softmax(-1)[..., :-1].flatten(1)
    values, pairs = probabilities.topk(min(most, probabilities.shape[1]), sorted=True)
    found = []
    for masks, chosen, scores in zip(mask_logits, pairs, values, strict=True):
        if things is not None:
            of_thing = torch.isin(chosen % number, torch.tensor(sorted(things), device=chosen.device))
            chosen, scores = chosen[of_thing], scores[of_thing]
        rows, row = (chosen // number).unique(return_inverse=True)
        packed, certainty = _packed(masks[rows], size, image_size or size)
        scores = scores * certainty[row]
        order = scores.argsort(descending=True, stable=True)
        width = (image_size or size)[1]
        found.append(Instances((chosen % number)[order], scores[order], row[order], packed, width))
    return found


def _packed(masks: Tensor, size: tuple[int, int], part: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bits (n, H, ceil(W / 8)) of the positive pixels of upsampled masks (n, h, w), and their mean probability (n,)."""
    packed = torch.empty((len(masks), part[0], -(-part[1] // 8)), dtype=torch.uint8, device=masks.device)
    pixels = torch.zeros(len(masks), dtype=torch.float64, device=masks.device)
    total = torch.zeros_like(pixels)
    if len(masks):
        for rows, values in _image_bands(masks, size, part):
            inside = values > 0
            pixels += inside.sum(1)
            total += values.sigmoid_().mul_(inside).sum(1, dtype=torch.float64)
            packed[:, rows] = _bits(inside.view(len(masks), -1, part[1]))
    return packed, (total / (pixels + 1e-6)).float()


def _bits(inside: Tensor) -> Tensor:
    """Pack booleans (n, r, W) into uint8 (n, r, ceil(W / 8)), the first in the highest bit."""
    padded = torch.nn.functional.pad(inside.view(torch.uint8), (0, -inside.shape[-1] % 8))
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=inside.device)
    octets = padded.view(*padded.shape[:-1], -1, 8)
    return (octets << shifts).sum(-1, dtype=torch.uint8)


def _unpacked(bits: Tensor, width: int) -> Tensor:
    """Unpack uint8 (H, ceil(W / 8)) into booleans (H, W)."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return ((bits[..., None] >> shifts) & 1).flatten(-2)[..., :width].bool()


def _image_bands(masks: Tensor, size: tuple[int, int], part: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of the upsampled masks (n, h, w) of an image, and their values (n, rows * W), in order of columns.

    The image of `part` (H, W) is in the upper left corner of `size`.
    """
    with torch.autocast(masks.device.type, enabled=False), full_precision():
        for band in bands(masks[None], size):
            start, stop = band.rows.start, min(band.rows.stop, part[0])
            if start >= stop:
                return
            ordered = band.values.new_empty((1, len(masks), band.rows.stop - start, size[1]))
            band._replace(rows=slice(0, ordered.shape[2])).put(ordered, band.values)
            yield slice(start, stop), ordered[0, :, : stop - start, : part[1]].flatten(1)
