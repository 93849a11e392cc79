"""All scores that are printed, from one confusion matrix."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seglight.metrics.image_counts import ImageCounts
from seglight.ops.iou import bootstrap_interval, class_iou, mean_iou, ratio

PROTOCOL = (
    "one int64 confusion matrix over the whole split, each image once, at the label's own resolution; "
    "ignored pixels left out; miou is the mean of tp / (tp + fp + fn) over classes with a non-empty union"
)
"""Definition of all scores; how the images were predicted is reported next to it."""


@dataclass(frozen=True)
class Scores:
    """Scores of a split; float64, NaN where the denominator is 0.

    Attributes:
        confusion: int64 (C, C) on the CPU; rows target, columns prediction.
        iou: (C,) intersection over union; NaN for a class that is in neither labels nor predictions.
        precision: (C,) share of the pixels predicted as a class that belong to it.
        recall: (C,) share of the pixels of a class that are predicted as it.
        f1: (C,) 2 tp / (2 tp + fp + fn), the Dice coefficient.
        miou: Mean of `iou`, without NaN.
        fwiou: Mean of `iou` weighted by the number of true pixels of each class (Long et al., CVPR 2015, section 5).
        accuracy: Share of the pixels whose class is right.
        images: Number of images.
        miou_interval: 95 % bootstrap interval of `miou` over images; NaN if the counts of single images are unknown.
    """

    confusion: Tensor
    iou: Tensor
    precision: Tensor
    recall: Tensor
    f1: Tensor
    miou: float
    fwiou: float
    accuracy: float
    images: int
    miou_interval: tuple[float, float]

    @classmethod
    def from_confusion(
        cls, confusion: Tensor, images: int, miou_interval: tuple[float, float] = (np.nan, np.nan)
    ) -> "Scores":
        """Compute the scores of a confusion matrix.

        Args:
            confusion: int64 (C, C), rows are true classes.
            images: Number of images that were counted.
            miou_interval: Bootstrap interval of the mean IoU.
        """
        confusion = confusion.cpu()
        matrix = confusion.numpy()
        hit, true, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
        iou = class_iou(hit, true, predicted)
        return cls(
            confusion=confusion,
            iou=torch.from_numpy(iou),
            precision=torch.from_numpy(ratio(hit, predicted)),
            recall=torch.from_numpy(ratio(hit, true)),
            f1=torch.from_numpy(ratio(2 * hit, true + predicted)),
            miou=float(mean_iou(hit, true, predicted)),
            fwiou=float(ratio((true * np.nan_to_num(iou)).sum(), true.sum())),
            accuracy=float(ratio(hit.sum(), true.sum())),
            images=images,
            miou_interval=miou_interval,
        )

    @classmethod
    def from_images(cls, counts: ImageCounts) -> "Scores":
        """Compute the scores of the sum of the images' matrices, with the bootstrap interval of the mean IoU."""
        interval = bootstrap_interval(*counts.by_class())
        return cls.from_confusion(torch.from_numpy(counts.confusion()), len(counts), interval)
