"""Scores of contours: boundary IoU, and precision, recall and F of boundaries.

Ignored pixels are seen through: they count for nothing, in labels and predictions alike, and where a class ends at them
there is no contour, as nobody knows what is there.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from seglight.ops.contour import near_other_class, near_same_class
from seglight.ops.label_values import check_labels, check_logits, check_predictions, check_shape
from seglight.ops.upsample import upsampled_argmax


class BoundaryIoU(Metric):
    """Intersection over union of the inner boundary bands of each class, over the whole split.

    Cheng et al., Boundary IoU: Improving Object-Centric Image Segmentation Evaluation (CVPR 2021), section 3. The band
    of a class is its pixels at most d rows and columns away from a pixel that is not of it, as in the authors' code,
    which erodes d times with a square of 3. As there, what lies beyond the image is of no class: the image's border is
    a boundary. The counts are summed over the split before they are divided. An image comes without padding.

    Args:
        num_classes: C.
        ignore_index: Mask value that is left out.
        dilation_ratio: d as a share of the image's diagonal; d is rounded, and at least a pixel.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    intersection: Tensor
    union: Tensor

    def __init__(self, num_classes: int, ignore_index: int, dilation_ratio: float = 0.02, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.ignored, self.dilation_ratio = num_classes, ignore_index, dilation_ratio
        for state in ("intersection", "union"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch of images of one size.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is no class.
        """
        pred, true = label_maps(preds, target, self.num_classes, self.ignored)
        height, width = target.shape[-2:]
        radius = max(1, round(self.dilation_ratio * math.hypot(height, width)))
        edge = torch.ones_like(target, dtype=torch.bool)
        edge[:, radius : height - radius, radius : width - radius] = False
        # near_other_class means nothing on ignored pixels, whose label is -1 and counts nowhere
        pred, true = (
            labels.masked_fill(~(edge | near_other_class(labels, self.num_classes, radius)), -1)
            for labels in (pred, true)
        )
        both = _histogram(pred[pred == true], self.num_classes)
        self.intersection += both
        self.union += _histogram(pred, self.num_classes) + _histogram(true, self.num_classes) - both

    def compute(self) -> Tensor:
        """Boundary IoU of each class, float64 (C,), NaN where it has no boundary; the score is its `nanmean()`."""
        return self.intersection.double() / self.union


class BoundaryScores(NamedTuple):
    """Of each class, float64 (C,): share of its predicted boundary that is right, of its true one that is found, F."""

    precision: Tensor
    recall: Tensor
    f: Tensor


class BoundaryF(Metric):
    """Precision, recall and F of the boundaries of each class at a tolerance of some pixels, over the whole split.

    As in the DAVIS benchmark (Perazzi et al., CVPR 2016, section 4) and Csurka et al., What is a Good Evaluation
    Measure for Semantic Segmentation? (BMVC 2013): a pixel of a predicted boundary is right where the true boundary of
    the same class is within the tolerance, and the other way round. They take the mean of each image's F; here the four
    counts are summed over the split first, as for the mean IoU, so that an image with ten pixels of a class does not
    weigh as much as one with a million. A boundary is a class's pixels that touch another class, at a corner too; the
    image's border is none.

    Args:
        num_classes: C.
        ignore_index: Mask value that is left out.
        tolerance: Pixels. DAVIS takes 0.008 of the image's diagonal, rounded up: 5 at 480x360.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    predicted: Tensor
    right: Tensor
    true: Tensor
    found: Tensor

    def __init__(self, num_classes: int, ignore_index: int, tolerance: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.ignored, self.tolerance = num_classes, ignore_index, tolerance
        for state in ("predicted", "right", "true", "found"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch of images of one size.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is no class.
        """
        pred, true = (
            labels.masked_fill(~near_other_class(labels, self.num_classes, 1), -1)
            for labels in label_maps(preds, target, self.num_classes, self.ignored)
        )
        for own, other, pixels, matched in (
            (pred, true, self.predicted, self.right),
            (true, pred, self.true, self.found),
        ):
            label, near = near_same_class(own, other, self.num_classes, self.tolerance)
            pixels += _histogram(label, self.num_classes)
            matched += _histogram(label[near], self.num_classes)

    def compute(self) -> BoundaryScores:
        """NaN where a class has no such boundary; F is 0 where only one of the two has one.

        The score is `f.nanmean()`.
        """
        precision, recall = self.right.double() / self.predicted, self.found.double() / self.true
        either, both = precision.nan_to_num() + recall.nan_to_num(), precision.nan_to_num() * recall.nan_to_num()
        f = torch.where(either > 0, 2 * both / either, torch.zeros_like(either))
        return BoundaryScores(precision, recall, f.masked_fill(self.predicted + self.true == 0, math.nan))


def label_maps(preds: Tensor, target: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Prediction and truth as int16 (B, H, W), both -1 where the target is ignored.

    Raises:
        UserError: A shape or type does not fit, or a label is no class.
    """
    check_shape(target, preds)
    # these metrics wait for a GPU anyway
    check_labels(target, num_classes, ignore_index, wait=True)
    if preds.is_floating_point():
        check_logits(preds, num_classes)
    else:
        check_predictions(preds, target, num_classes, ignore_index, wait=True)
    if preds.is_floating_point():
        preds = upsampled_argmax(preds, (target.shape[-2], target.shape[-1]))
    ignored = target == ignore_index
    return preds.to(torch.int16).masked_fill(ignored, -1), target.to(torch.int16).masked_fill(ignored, -1)


def _histogram(labels: Tensor, num_classes: int) -> Tensor:
    """Pixels of each class, int64 (C,), without those that are -1."""
    return torch.bincount(labels.flatten().int() + 1, minlength=num_classes + 1)[1:]
