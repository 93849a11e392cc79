"""SegPGD: Gu et al. 2022, "SegPGD: An Effective and Efficient Adversarial Attack", arXiv 2207.12391."""

from seglight.robustness.attacks.pgd import PGD
from seglight.robustness.attacks.pixel_losses import PixelLoss, SegPGDLoss


class SegPGD(PGD):
    """`PGD` on a cross-entropy that starts with the right pixels and counts wrong ones more and more.

    Step t of T, from 0, weighs right pixels by 1 - t / (2 T) and wrong ones by t / (2 T). Arguments are those of `PGD`.
    """

    def loss(self) -> PixelLoss:
        """The weighted cross-entropy."""
        return SegPGDLoss()
