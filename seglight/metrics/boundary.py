"""Scores of contours: boundary IoU, and precision, recall and F-measure of boundaries.

Ignored pixels are not counted, neither in labels nor in predictions, and a class that ends at ignored pixels has no
contour there, because its true extent is unknown.
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
    of a class consists of its pixels at most d rows and columns away from a pixel of another class, as in the authors'
    code, which erodes d times with a square of 3. As there, pixels beyond the image are of no class: the image's border
    is a boundary. The counts are summed over the split before they are divided. Images must not be padded.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        dilation_ratio: Width d of the band as a share of the image's diagonal, rounded to at least one pixel.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    intersection: Tensor
    union: Tensor

    def __init__(self, num_classes: int, ignore_index: int, dilation_ratio: float = 0.02, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignored = ignore_index
        self.dilation_ratio = dilation_ratio
        for state in ("intersection", "union"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch of images of one size.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
        """
        pred, true = label_maps(preds, target, self.num_classes, self.ignored)
        height, width = target.shape[-2:]
        radius = max(1, round(self.dilation_ratio * math.hypot(height, width)))
        edge = torch.ones_like(target, dtype=torch.bool)
        edge[:, radius : height - radius, radius : width - radius] = False
        # near_other_class is undefined on ignored pixels, whose label is -1, which is not counted
        pred, true = (
            labels.masked_fill(~(edge | near_other_class(labels, self.num_classes, radius)), -1)
            for labels in (pred, true)
        )
        both = _histogram(pred[pred == true], self.num_classes)
        self.intersection += both
        self.union += _histogram(pred, self.num_classes) + _histogram(true, self.num_classes) - both

    def compute(self) -> Tensor:
        """Boundary IoU of each class, float64 (C,), NaN if it has no boundary; the score is its `nanmean()`."""
        return self.intersection.double() / self.union


class BoundaryScores(NamedTuple):
    """Scores of the boundaries of each class.

    Attributes:
        precision: (C,) float64, share of the predicted boundary that is right.
        recall: (C,) float64, share of the true boundary that is found.
        f: (C,) float64, harmonic mean of the two.
    """

    precision: Tensor
    recall: Tensor
    f: Tensor


class BoundaryF(Metric):
    """Precision, recall and F-measure of the boundaries of each class within a tolerance, over the whole split.

    As in the DAVIS benchmark (Perazzi et al., CVPR 2016, section 4) and Csurka et al., What is a Good Evaluation
    Measure for Semantic Segmentation? (BMVC 2013): a pixel of a predicted boundary is right if the true boundary of
    the same class is within the tolerance, and vice versa. The papers average the F-measures of images; here the four
    counts are summed over the split first, as for the mean IoU, so that an image with ten pixels of a class does not
    weigh as much as one with a million. A boundary consists of the pixels of a class that touch another class, also at
    a corner; the image's border is not a boundary.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        tolerance: Tolerance in pixels. DAVIS uses 0.008 of the image's diagonal, rounded up: 5 at 480x360.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    predicted: Tensor
    right: Tensor
    true: Tensor
    found: Tensor

    def __init__(self, num_classes: int, ignore_index: int, tolerance: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignored = ignore_index
        self.tolerance = tolerance
        for state in ("predicted", "right", "true", "found"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch of images of one size.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or a label is not a class.
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
        """Scores of each class, NaN if it has no such boundary; F is 0 if only one of the two has one.

        The score is `f.nanmean()`.
        """
        precision, recall = self.right.double() / self.predicted, self.found.double() / self.true
        either, both = precision.nan_to_num() + recall.nan_to_num(), precision.nan_to_num() * recall.nan_to_num()
        f = torch.where(either > 0, 2 * both / either, torch.zeros_like(either))
        return BoundaryScores(precision, recall, f.masked_fill(self.predicted + self.true == 0, math.nan))


def label_maps(preds: Tensor, target: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Convert prediction and target to int16 (B, H, W), int32 for over 32,767 classes, -1 where the target is ignored.

    Args:
        preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
        target: Integer class index or ignore_index (B, H, W).
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: A shape or type does not fit, or a label is not a class.
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
    dtype = torch.int16 if num_classes < 2**15 else torch.int32
    return preds.to(dtype).masked_fill(ignored, -1), target.to(dtype).masked_fill(ignored, -1)


def _histogram(labels: Tensor, num_classes: int) -> Tensor:
    """Number of pixels of each class, int64 (C,), without those that are -1."""
    return torch.bincount(labels.flatten().int() + 1, minlength=num_classes + 1)[1:]
