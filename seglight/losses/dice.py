"""Soft Dice loss."""

from seglight.losses.band_pass import Term
from seglight.losses.band_tversky import TverskyTerm
from seglight.losses.banded_loss import BandedLoss, within


class Dice(BandedLoss):
    """One less the soft Dice score of each class over the whole batch, the mean over the classes that are there.

    The score is 2 sum(p g) / (sum(p) + sum(g)): Milletari et al. 2016, "V-Net", with sums in place of sums of squares
    as in Sudre et al. 2017, without weights. A class without a labelled pixel has no score and is left out of the mean,
    so that the loss lies between 0 and 1 however few of its classes a batch has; `DiceLoss` of
    segmentation_models.pytorch divides by all classes: times C over the classes that are there it is equal.

    While training the batch is that of all processes: their gradient is that of one process with all images.

    Args:
        ignore_index: Mask value that counts for nothing.
        smooth: Added to half of the numerator and of the denominator, in pixels.
    """

    def __init__(self, ignore_index: int, smooth: float = 0.0) -> None:
        super().__init__(ignore_index)
        within("smooth", smooth, 0)
        self.smooth = smooth

    def term(self) -> Term:
        """Half of false alarms and half of misses."""
        return TverskyTerm(0.5, 0.5, self.smooth)
