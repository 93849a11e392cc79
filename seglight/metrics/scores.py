"""Every score that is printed, from one confusion matrix."""

from dataclasses import dataclass

from torch import Tensor

PROTOCOL = (
    "one int64 confusion matrix over the whole split, each image once, at the label's own resolution; "
    "ignored pixels left out; miou is the mean of tp / (tp + fp + fn) over classes with a non-empty union; "
    "whole image in one pass"
)


@dataclass(frozen=True)
class Scores:
    """Scores of a split.

    Attributes:
        confusion: int64 (C, C) on the CPU; rows target, columns prediction.
        iou: float64 (C,); NaN where a class is in neither labels nor predictions.
        miou: Mean of `iou` without the NaN.
        accuracy: Share of the pixels whose class is right.
        images: Images counted.
    """

    confusion: Tensor
    iou: Tensor
    miou: float
    accuracy: float
    images: int

    @classmethod
    def from_confusion(cls, confusion: Tensor, images: int) -> "Scores":
        """Score an int64 (C, C) matrix gathered over `images` images."""
        confusion = confusion.cpu()
        hit = confusion.diagonal().double()
        iou = hit / (confusion.sum(0) + confusion.sum(1) - hit)
        accuracy = hit.sum() / confusion.sum()
        return cls(confusion, iou, float(iou.nanmean()), float(accuracy), images)
