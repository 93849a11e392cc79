"""Boundary loss."""

from seglight.losses.band_boundary import BoundaryTerm
from seglight.losses.band_pass import Term
from seglight.losses.banded_loss import BandedLoss


class BoundaryLoss(BandedLoss):
    """Mean over labelled pixels of the sum over classes of p times the signed distance to the class's boundary.

    Kervadec et al. 2019, "Boundary loss for highly unbalanced segmentation", equation 5; distances in pixels, positive
    outside a class, as in the authors' code 0 at its outermost pixels. A class that is absent from an image, or alone
    in it, has no boundary there: 0. Ignored pixels are left out, and bound nothing. The loss can be negative; it is
    meant to be added to another with a small weight (theirs begins at 0.01).

    It costs two exact distance transforms on the CPU for each class in each image, about 0.06 s for a megapixel each
    pair.

    Args:
        ignore_index: Mask value that counts for nothing.
    """

    def term(self) -> Term:
        """Distances to the labels' boundaries."""
        return BoundaryTerm(self.ignore_index)
