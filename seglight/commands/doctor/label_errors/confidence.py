"""Thresholds of confident learning (Northcutt et al., JAIR 2021, arXiv 1911.00068, section 3.1), in one pass."""

import torch
from torch import Tensor

LOWEST = 2e-6
"""Smallest threshold: a class that the net never finds where it is labelled has no use of a threshold of 0."""

MARGIN = 1e-6
"""How far a probability may be below a threshold, as in cleanlab: both are rounded."""


class ClassConfidence:
    """Mean probability of each class over the pixels that are labelled as it, from two numbers for each class.

    Args:
        num_classes: Number of classes, K.

    Attributes:
        sums: Sum of the probabilities of each class where it is the label, float64 (K,).
        counts: Number of pixels of each class, int64 (K,).
    """

    def __init__(self, num_classes: int) -> None:
        self.sums = torch.zeros(num_classes, dtype=torch.float64)
        self.counts = torch.zeros(num_classes, dtype=torch.int64)

    def add(self, own: Tensor, labels: Tensor) -> None:
        """Add pixels.

        Args:
            own: Probability of each pixel's label, (P,).
            labels: Class index of each pixel, (P,); none is ignored.
        """
        classes = len(self.sums)
        index = labels.long()
        self.sums += torch.bincount(index, own.double(), classes).cpu()
        self.counts += torch.bincount(index, minlength=classes).cpu()

    def thresholds(self) -> Tensor:
        """Probability, float64 (K,), from which a class counts as found with confidence; infinite without pixels."""
        means = self.sums / self.counts.clamp(min=1)
        return torch.where(self.counts > 0, means.clamp(LOWEST, 1), torch.inf)


def confident_class(probabilities: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """The class that a pixel should have by the confident joint, and whether there is one.

    Args:
        probabilities: (B, K, P).
        thresholds: (K,), infinite for classes without a threshold.

    Returns:
        The class (B, P): the only one that reaches its threshold, or the most probable one if there are several or
        none; and whether one does.
    """
    reached = probabilities >= thresholds.to(probabilities.device, probabilities.dtype)[:, None] - MARGIN
    number = reached.sum(1)
    only = reached.to(torch.uint8).argmax(1)
    return torch.where(number == 1, only, probabilities.argmax(1)), number > 0
