"""Lovász-Softmax loss."""

from typing import Literal

from seglight.losses.band_lovasz import LovaszTerm
from seglight.losses.band_pass import Term
from seglight.losses.banded_loss import BandedLoss, within
from seglight.losses.lovasz_sorted import SortedLovaszTerm


class LovaszSoftmax(BandedLoss):
    """A surrogate of 1 - IoU of each class, the mean over classes: Berman et al. 2018, "The Lovász-Softmax loss".

    With `bins`, errors are counted by bin in place of being sorted: the value is within 1 / (2 bins) of the exact one,
    and the gradient is one of the exact loss up to 1 / bins (proof in `band_lovasz.py`). While training the batch
    is that of all processes: their gradient is that of one process with all images.

    Without, a class's errors are sorted, one class after the other; the batch is then a process's own. With float16
    logits as with float32, errors are those of float32.

    Args:
        ignore_index: Mask value that counts for nothing.
        bins: Bins of the errors from 0 to 1; None for the exact form.
        classes: The mean is over the classes that are in the labels, or over all.
        per_image: The mean of the losses of the images that have labels, in place of the loss of the batch.
    """

    def __init__(
        self,
        ignore_index: int,
        bins: int | None = 1024,
        classes: Literal["present", "all"] = "present",
        per_image: bool = False,
    ) -> None:
        super().__init__(ignore_index)
        within("bins", 1 if bins is None else bins, 1)
        self.bins, self.classes, self.per_image = bins, classes, per_image

    def term(self) -> Term:
        """By histograms, or exact."""
        absent = self.classes == "all"
        if self.bins is None:
            return SortedLovaszTerm(self.ignore_index, absent, self.per_image)
        return LovaszTerm(self.bins, absent, self.per_image)
