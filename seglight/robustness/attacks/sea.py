"""SEA, the segmentation ensemble attack: Croce, Singh & Hein 2024, arXiv 2306.12941."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from seglight.robustness.attacks.apgd import APGD, Found
from seglight.robustness.attacks.attack import Attack, worse
from seglight.robustness.attacks.ball import Ball, Norm
from seglight.robustness.attacks.pixel_losses import BalancedMaskedCrossEntropy, JensenShannon, MaskedCrossEntropy
from seglight.robustness.attacks.victim import Victim


class SEA(Attack):
    """Three runs of `APGD`, each with its own random start and loss (section 3.3).

    The losses are the class-balanced cross-entropy of right pixels, that cross-entropy without balance, and the
    Jensen-Shannon divergence. A call returns the image with the fewest right pixels; `candidates` yields those of the
    three runs, of which the score that is attacked chooses: see `seglight.robustness.worst_case`. The paper uses 300
    steps a run.

    Args:
        radius: Largest change, as a share of the range of pixel values.
        steps: Number of gradient steps of each run.
        ignore_index: Mask value that is ignored.
        norm: "linf" or "l2".
        class_weights: Weight of each class in the balanced cross-entropy, such as the inverse of its number of pixels
            in the data set; None: the inverse of its number of pixels in each image.

    Raises:
        UserError: An argument is out of its range.
    """

    def __init__(
        self,
        radius: float,
        steps: int,
        ignore_index: int,
        norm: Norm = "linf",
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(radius, steps, ignore_index, norm)
        losses = (BalancedMaskedCrossEntropy(class_weights), MaskedCrossEntropy(), JensenShannon())
        self.runs = [APGD(radius, steps, ignore_index, norm, loss) for loss in losses]

    @property
    def passes(self) -> int:
        """Those of the three runs."""
        return sum(run.passes for run in self.runs)

    def perturb(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Tensor:
        """The images of the three runs with the fewest right pixels."""
        first, *others = self._found(victim, ball, seeds)
        for other in others:
            first = Found(*worse(*first, *other))
        return first.image

    def perturbations(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Iterator[Tensor]:
        """The images of each run."""
        for found in self._found(victim, ball, seeds):
            yield found.image

    def _found(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Iterator[Found]:
        for draw, run in enumerate(self.runs):
            yield run.find(victim, ball, seeds, draw)
