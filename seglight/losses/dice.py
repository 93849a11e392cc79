"""Soft Dice loss."""

from seglight.losses.band_pass import LossTerm
from seglight.losses.banded_loss import BandedLoss, check_range
from seglight.losses.tversky import TverskyTerm


class Dice(BandedLoss):
    """1 - the soft Dice score of each class over the whole batch, averaged over the classes that are present.

    The score is 2 sum(p g) / (sum(p) + sum(g)): Milletari et al. 2016, "V-Net", with sums instead of sums of squares as
    in Sudre et al. 2017, without weights. A class without a labelled pixel has no score and is left out of the mean, so
    that the loss lies between 0 and 1 however few of its classes a batch has. `DiceLoss` of
    segmentation_models.pytorch divides by the number of all classes: multiplied by C and divided by the number of
    classes that are present it is equal.

    In training the batch is that of all processes: their gradient is that of one process with all images.

    Args:
        ignore_index: Mask value that is ignored.
        smooth: Number of pixels added to half of the numerator and half of the denominator.
    """

    def __init__(self, ignore_index: int, smooth: float = 0.0) -> None:
        super().__init__(ignore_index)
        check_range("loss.smooth", smooth, 0)
        self.smooth = smooth

    def term(self) -> LossTerm:
        """The Tversky loss with weights of one half."""
        return TverskyTerm(0.5, 0.5, self.smooth)
