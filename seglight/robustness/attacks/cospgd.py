"""CosPGD: Agnihotri et al. 2024, "CosPGD: an efficient white-box adversarial attack", arXiv 2302.02213."""

from seglight.robustness.attacks.pgd import PGD
from seglight.robustness.attacks.pixel_losses import CosPGDLoss, PixelLoss


class CosPGD(PGD):
    """`PGD` on a cross-entropy weighted by the cosine between probabilities and label. Arguments are those of `PGD`."""

    def loss(self) -> PixelLoss:
        """The weighted cross-entropy."""
        return CosPGDLoss()
