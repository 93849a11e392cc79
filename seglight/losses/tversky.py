"""Tversky loss, and the focal Tversky loss."""

from seglight.losses.band_pass import Term
from seglight.losses.band_tversky import TverskyTerm
from seglight.losses.banded_loss import BandedLoss, within


class Tversky(BandedLoss):
    """(1 - index)^(1 / gamma) of each class over the whole batch, the mean over the classes that are there.

    The index is tp / (tp + alpha fp + beta fn) of Salehi et al. 2017, "Tversky loss function for image segmentation
    using 3D fully convolutional deep networks"; gamma is of Abraham & Khan 2019, "A novel focal Tversky loss function"
    (they use 4/3). alpha = beta = 0.5 is `Dice`, and alpha = beta = 1 the soft Jaccard loss. Classes that
    are absent, and several processes, are treated as in `Dice`.

    Args:
        ignore_index: Mask value that counts for nothing.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        gamma: Above 1, classes that are nearly right count more; below 1, less.
        smooth: Added to the numerator and the denominator, in pixels.
    """

    def __init__(
        self, ignore_index: int, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 0.0
    ) -> None:
        super().__init__(ignore_index)
        for name, weight in (("alpha", alpha), ("beta", beta), ("smooth", smooth)):
            within(name, weight, 0)
        within("gamma", gamma, 0.01)
        self.alpha, self.beta, self.gamma, self.smooth = alpha, beta, gamma, smooth

    def term(self) -> Term:
        """The index with its weights."""
        return TverskyTerm(self.alpha, self.beta, self.smooth, 1 / self.gamma)
