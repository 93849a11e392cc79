"""Every score that is printed, from one confusion matrix."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seglight.metrics.image_counts import ImageCounts
from seglight.ops.iou import bootstrap_interval, class_iou, mean_iou, share

PROTOCOL = (
    "one int64 confusion matrix over the whole split, each image once, at the label's own resolution; "
    "ignored pixels left out; miou is the mean of tp / (tp + fp + fn) over classes with a non-empty union"
)
"""What all scores are; how the images were predicted is said beside it."""


@dataclass(frozen=True)
class Scores:
    """Scores of a split; float64, NaN where there is nothing to divide by.

    Attributes:
        confusion: int64 (C, C) on the CPU; rows target, columns prediction.
        iou: (C,); NaN where a class is in neither labels nor predictions.
        precision: (C,) share of the pixels predicted as a class that are of it.
        recall: (C,) share of a class's pixels that are predicted as it.
        f1: (C,) 2 tp / (2 tp + fp + fn), the Dice coefficient.
        miou: Mean of `iou` without the NaN.
        fwiou: Mean of `iou` weighted by the classes' true pixels (Long et al., CVPR 2015, section 5).
        accuracy: Share of the pixels whose class is right.
        images: Images counted.
        miou_interval: 95 % bootstrap interval of `miou` over images; NaN where single images are not known.
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
        """Score an int64 (C, C) matrix gathered over `images` images."""
        confusion = confusion.cpu()
        matrix = confusion.numpy()
        hit, true, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
        iou = class_iou(hit, true, predicted)
        return cls(
            confusion=confusion,
            iou=torch.from_numpy(iou),
            precision=torch.from_numpy(share(hit, predicted)),
            recall=torch.from_numpy(share(hit, true)),
            f1=torch.from_numpy(share(2 * hit, true + predicted)),
            miou=float(mean_iou(hit, true, predicted)),
            fwiou=float(share((true * np.nan_to_num(iou)).sum(), true.sum())),
            accuracy=float(share(hit.sum(), true.sum())),
            images=images,
            miou_interval=miou_interval,
        )

    @classmethod
    def from_images(cls, counts: ImageCounts) -> "Scores":
        """Score the sum of single images' matrices, with the interval that they leave the mean IoU."""
        interval = bootstrap_interval(*counts.by_class())
        return cls.from_confusion(torch.from_numpy(counts.confusion()), len(counts), interval)
