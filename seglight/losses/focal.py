"""Focal loss."""

from collections.abc import Sequence

from seglight.losses.band_focal import FocalTerm
from seglight.losses.band_pass import Term
from seglight.losses.banded_loss import BandedLoss, within


class Focal(BandedLoss):
    """Mean of -alpha (1 - p)^gamma log p over the pixels that are not ignored; p is the softmax of a pixel's class.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5, with the softmax over all classes in place of
    a sigmoid for each. The mean is over pixels: class weights are in the sum only, as alpha is there.

    Args:
        ignore_index: Mask value that counts for nothing.
        gamma: How much pixels that are right already count less; 0 is cross-entropy.
        class_weights: alpha, one a class, in the order of the classes, or None for 1.
    """

    def __init__(self, ignore_index: int, gamma: float = 2.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(ignore_index, class_weights)
        within("gamma", gamma, 0)
        self.gamma = gamma

    def term(self) -> Term:
        """Focal loss of all labelled pixels."""
        return FocalTerm(self.ignore_index, self.gamma, self.weight)
