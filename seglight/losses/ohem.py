"""Cross-entropy of the hard pixels only."""

from collections.abc import Sequence

from seglight.losses.band_cross_entropy import Ohem, OhemTerm
from seglight.losses.band_pass import Term
from seglight.losses.banded_loss import BandedLoss, within


class OHEMCrossEntropy(BandedLoss):
    """Mean cross-entropy over the hard pixels: those whose class has a probability below `threshold`.

    Where these are fewer than `min_kept`, the `min_kept` pixels of lowest probability count, and those equal to the
    last of them. Online hard example mining is of Shrivastava et al. 2016; both numbers as in Yuan et al. 2018,
    "OCNet". Each process finds the hard pixels of its own batch; the mean is over those of all processes.

    Args:
        ignore_index: Mask value that counts for nothing.
        threshold: Probability of a pixel's class below which the pixel is hard.
        min_kept: Pixels of the batch that count at least.
        class_weights: One weight a class, in the order of the classes, or None. The mean is weighted by it.
    """

    def __init__(
        self,
        ignore_index: int,
        threshold: float = 0.7,
        min_kept: int = 100_000,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(ignore_index, class_weights)
        within("threshold", threshold, 0, 1)
        within("min_kept", min_kept, 0)
        self.ohem = Ohem(threshold, min_kept)

    def term(self) -> Term:
        """Cross-entropy of the hard pixels."""
        return OhemTerm(self.ignore_index, self.weight, self.ohem)
