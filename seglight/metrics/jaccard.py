"""torchmetrics' Jaccard index with an update that costs one histogram."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from seglight.ops.confusion import confusion_matrix
from seglight.ops.ranks import sum_over_ranks
from seglight.ops.upsample import upsampled_argmax


class JaccardIndex(MulticlassJaccardIndex):
    """Mean intersection over union over the whole split (`compute` and synchronisation are torchmetrics' own).

    Args:
        num_classes: C.
        ignore_index: Mask value that is left out.
        average: "macro" leaves classes with an empty union out of the mean; see torchmetrics for the others.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    confmat: Tensor
    images: Tensor

    def __init__(self, num_classes: int, ignore_index: int, average: Any = "macro", **kwargs: Any) -> None:
        super().__init__(num_classes, average=average, ignore_index=ignore_index, validate_args=False, **kwargs)
        self.ignored = ignore_index
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: Integer labels (B, H, W), or logits (B, C, h, w), upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).
        """
        if preds.is_floating_point():
            preds = upsampled_argmax(preds, (target.shape[-2], target.shape[-1]))
        self.confmat += confusion_matrix(preds, target, self.num_classes, self.ignored)
        self.images += len(target)

    def totals(self) -> tuple[Tensor, int]:
        """The int64 (C, C) matrix and the number of images, summed over all processes in one all-reduce."""
        confusion, images = sum_over_ranks(self.confmat, self.images)
        return confusion.clone(), int(images)
