"""Masks to learn, as values of a map: those of the classes of a label map, or those of segments.

The masks of an image are never stacked: their samples are read from the four pixels of the map around each point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

    def to(self, device: torch.device) -> "MaskTargets":
        """The same with the maps on another device, which the host does not wait for."""
        return replace(self, maps=self.maps.to(device, non_blocking=True))


def semantic_targets(mask: Tensor, ignore_index: int) -> MaskTargets:
    """A mask for each class of an image.

    Args:
        mask: (B, H, W) on the CPU, any integer type: class index or `ignore_index`.
        ignore_index: Value of ignored pixels.
    """
    classes = [[value for value in present(image) if value != ignore_index] for image in mask]
    return MaskTargets(mask, classes, classes, [len(own) > 0 for own in classes], ignore_index)


def segment_targets(
    segments: Tensor, classes: Sequence[Tensor], crowds: Sequence[Tensor], mask: Tensor, ignore_index: int
) -> MaskTargets:
    """A mask for each segment of an image that has pixels; those of crowds are ignored.

    Args:
        segments: int32 (B, H, W) on the CPU, k + 1 where segment k is, 0 where there is none.
        classes: Class of each segment, int64 (n,), of each image.
        crowds: Whether a segment is a region of several instances, bool (n,), of each image.
        mask: (B, H, W) on the CPU; pixels with `ignore_index` are ignored, whatever segment they are in.
        ignore_index: Value of ignored pixels in the mask.
    """
    maps = segments.masked_fill(mask == ignore_index, IGNORED)
    for labels, crowd in zip(maps, crowds, strict=True):
        for k in crowd.nonzero().flatten().tolist():
            labels.masked_fill_(labels == k + 1, IGNORED)
    values = [present(labels - IGNORED) for labels in maps]  # counted from 0
    ids = [[value + IGNORED for value in own if value > -IGNORED] for own in values]
    table = [[int(of_segments[k - 1]) for k in own] for of_segments, own in zip(classes, ids, strict=True)]
    return MaskTargets(maps, ids, table, [own != [0] for own in values], IGNORED)


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
