"""Masks to learn, as values of a map: those of the classes of a label map, or those of segments.

The masks of an image are never stacked: their samples are read from the four pixels of the map around each point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seglight.ops.point_sampling import corners

NO_SEGMENT = -1
"""Value of `segments` at pixels that are in none."""

IGNORED = -2
"""Value of ignored pixels in the map of `segment_targets`."""


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


def present_classes(mask: Tensor, ignore_index: int) -> list[list[int]]:
    """The classes of each image of a mask (B, H, W) on the CPU, in ascending order."""
    found = (np.flatnonzero(np.bincount(image.numpy().ravel())) for image in mask)
    return [classes[classes != ignore_index].tolist() for classes in found]


def semantic_targets(mask: Tensor, classes: Sequence[Sequence[int]], ignore_index: int) -> MaskTargets:
    """A mask for each class of an image.

    Args:
        mask: (B, H, W), any integer type: class index or `ignore_index`.
        classes: The classes of each image, from `present_classes`.
        ignore_index: Value of ignored pixels.
    """
    return MaskTargets(mask, classes, classes, [len(present) > 0 for present in classes], ignore_index)


def segment_targets(
    segments: Tensor,
    segment_classes: Sequence[Sequence[int]],
    mask: Tensor,
    labelled: Sequence[bool],
    ignore_index: int,
) -> MaskTargets:
    """A mask for each segment of an image.

    Args:
        segments: int32 (B, H, W): index into the segments of the image, or `NO_SEGMENT`.
        segment_classes: Class of each segment of each image.
        mask: (B, H, W), any integer type, of which only `ignore_index` is read: it makes a pixel of any segment ignored.
        labelled: Whether an image has any pixel that is not ignored.
        ignore_index: Value of ignored pixels in `mask`.
    """
    maps = segments.masked_fill(mask == ignore_index, IGNORED)
    return MaskTargets(maps, [range(len(classes)) for classes in segment_classes], segment_classes, labelled, IGNORED)


def target_samples(labels: Tensor, ids: Tensor, ignored: int, points: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear samples of the masks of an image, and how much of each sample is not ignored.

    Pixels outside the image are in no mask and not ignored, as in `samples`.

    Args:
        labels: (H, W), any integer type.
        ids: int64 (T,) value of each mask.
        ignored: Value of ignored pixels, which are in no mask.
        points: (P, 2) as in `ImagePoints`.

    Returns:
        float32 (T, P), the share of each mask; and float32 (P,), 1 minus the share of ignored pixels.
    """
    cells, weights = corners(points, (labels.shape[-2], labels.shape[-1]))
    shares = torch.zeros((len(ids), len(points)), device=labels.device)
    ignored_share = torch.zeros(len(points), device=labels.device)
    for values, weight in zip(labels.flatten()[cells].long(), weights, strict=True):
        shares += torch.where(values == ids.unsqueeze(1), weight, 0.0)
        ignored_share += torch.where(values == ignored, weight, 0.0)
    # sums of weights are 1 but for rounding: a point between ignored pixels has none left
    return shares, torch.where(ignored_share > 1 - 1e-6, 0.0, 1 - ignored_share)
