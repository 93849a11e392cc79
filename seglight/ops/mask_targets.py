"""Masks to learn, as values of a map: those of the classes of a label map, or those of segments.

The masks of an image are never stacked: their samples are read from the four pixels of the map around each point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seglight.ops.point_sampling import corners

IGNORED = -1
"""Value of ignored pixels in the maps of `segment_targets`."""


@dataclass(frozen=True)
class MaskTargets:
    """The masks of a batch of B images: mask k of image i is where `maps[i] == ids[i][k]`.

    Attributes:
        maps: (B, H, W), any integer type.
        ids: Value of each mask of each image; known to the host, so that no copy from a device is waited for.
        classes: Class of each mask of each image.
        labelled: Whether an image has any pixel that is not ignored.
        ignored: Value of pixels that count for nothing.
    """

    maps: Tensor
    ids: Sequence[Sequence[int]]
    classes: Sequence[Sequence[int]]
    labelled: Sequence[bool]
    ignored: int

    @property
    def count(self) -> int:
        """Number of masks of all images."""
        return sum(map(len, self.ids))


def semantic_targets(mask: Tensor, ignore_index: int, on_host: Tensor | None = None) -> MaskTargets:
    """A mask for each class of an image.

    Args:
        mask: (B, H, W), any integer type: class index or `ignore_index`.
        ignore_index: Value of ignored pixels.
        on_host: The same on the CPU, if `mask` is not.
    """
    host = mask if on_host is None else on_host
    classes = [[value for value in present(image) if value != ignore_index] for image in host]
    return MaskTargets(mask, classes, classes, [len(own) > 0 for own in classes], ignore_index)


class Segments(NamedTuple):
    """Segments of B images.

    Attributes:
        segments: int32 (B, H, W), k + 1 where segment k is, 0 where there is none.
        mask: (B, H, W), any integer type; pixels with the ignored value are ignored, whatever segment they are in.
    """

    segments: Tensor
    mask: Tensor


def segment_targets(
    given: Segments,
    classes: Sequence[Tensor],
    crowds: Sequence[Tensor],
    ignore_index: int,
    on_host: Segments | None = None,
) -> MaskTargets:
    """A mask for each segment of an image that has pixels; those of crowds are ignored.

    Args:
        given: The segments.
        classes: Class of each segment, int64 (n,) on the CPU, of each image.
        crowds: Whether a segment is a region of several instances, bool (n,) on the CPU, of each image.
        ignore_index: Value of ignored pixels in the mask.
        on_host: The same as `given` on the CPU, if that is not.
    """
    maps = _without_crowds(given, crowds, ignore_index)
    host = maps if on_host is None else _without_crowds(on_host, crowds, ignore_index)
    values = [present(labels - IGNORED) for labels in host]  # counted from 0
    ids = [[value + IGNORED for value in own if value > -IGNORED] for own in values]
    table = [[int(of_segments[k - 1]) for k in own] for of_segments, own in zip(classes, ids, strict=True)]
    return MaskTargets(maps, ids, table, [own != [0] for own in values], IGNORED)


def _without_crowds(given: Segments, crowds: Sequence[Tensor], ignore_index: int) -> Tensor:
    maps = given.segments.masked_fill(given.mask == ignore_index, IGNORED)
    for labels, crowd in zip(maps, crowds, strict=True):
        for k in crowd.nonzero().flatten().tolist():
            labels.masked_fill_(labels == k + 1, IGNORED)
    return maps


def present(labels: Tensor) -> list[int]:
    """The values of a map of numbers from 0 on the CPU, in ascending order."""
    values: list[int] = np.flatnonzero(np.bincount(labels.numpy().ravel())).tolist()
    return values


def target_samples(labels: Tensor, ids: Tensor, ignored: int, points: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear samples of the masks of an image, and how much of each sample is not ignored.

    Pixels outside the image are in no mask, as in `samples`, and ignored as far as those inside are.

    Args:
        labels: (H, W), any integer type.
        ids: int64 (T,) value of each mask.
        ignored: Value of ignored pixels, which are in no mask.
        points: (P, 2) as in `ImagePoints`.

    Returns:
        float32 (T, P), the share of each mask; and float32 (P,), 1 minus the share of ignored pixels of those inside.
    """
    cells, weights = corners(points, (labels.shape[-2], labels.shape[-1]))
    shares = torch.zeros((len(ids), len(points)), device=labels.device)
    ignored_share = torch.zeros(len(points), device=labels.device)
    for values, weight in zip(labels.flatten()[cells].long(), weights, strict=True):
        shares += torch.where(values == ids.unsqueeze(1), weight, 0.0)
        ignored_share += torch.where(values == ignored, weight, 0.0)
    ignored_share /= weights.sum(0)
    # sums of weights are 1 but for rounding: a point between ignored pixels has none left
    return shares, torch.where(ignored_share > 1 - 1e-6, 0.0, 1 - ignored_share)
