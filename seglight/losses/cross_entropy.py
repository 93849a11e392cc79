"""Cross-entropy, optionally weighted by class."""

from collections.abc import Sequence

from torch import Tensor

from seglight.losses.band_cross_entropy import CrossEntropyTerm, class_weight
from seglight.losses.band_pass import Term, guarded
from seglight.losses.banded_loss import BandedLoss, within
from seglight.ops.label_values import check_labels


class CrossEntropy(BandedLoss):
    """Mean cross-entropy over the pixels that are not ignored, as `F.cross_entropy` of the upsampled logits.

    Args:
        ignore_index: Mask value that counts for nothing.
        class_weights: One weight a class, in the order of the classes, or None. The mean is weighted by it.
        label_smoothing: Share of each target that is spread over all classes, from 0 to 1.
    """

    def __init__(
        self, ignore_index: int, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(ignore_index, class_weights)
        within("label_smoothing", label_smoothing, 0, 1)
        self.label_smoothing = label_smoothing

    def term(self) -> Term:
        """Cross-entropy of all labelled pixels."""
        return CrossEntropyTerm(self.ignore_index, self.weight, self.label_smoothing)

    def mass(self, mask: Tensor) -> Tensor:
        """What the mean divides by, scalar: the weights of the pixels of a mask (B, H, W) that are not ignored.

        Raises:
            UserError: With class weights, on a CPU: a label is neither a class nor `ignore_index`.
        """
        if self.weight is not None:
            check_labels(mask, len(self.weight), self.ignore_index)
            mask, _ = guarded(mask, len(self.weight), self.ignore_index)
        return class_weight(mask, self.ignore_index, self.weight)
