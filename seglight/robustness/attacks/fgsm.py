"""The fast gradient sign method: Goodfellow et al. 2015, arXiv 1412.6572."""

from seglight.errors import UserError
from seglight.robustness.attacks.ball import Norm
from seglight.robustness.attacks.pgd import PGD


class FGSM(PGD):
    """One step of the radius from the clean image.

    Args:
        radius: Largest change, as a share of the range of pixel values.
        steps: 1.
        ignore_index: Mask value that is ignored.
        norm: "linf", or "l2" for a step along the gradient.

    Raises:
        UserError: An argument is out of its range, or `steps` is not 1.
    """

    def __init__(self, radius: float, steps: int, ignore_index: int, norm: Norm = "linf") -> None:
        super().__init__(radius, steps, ignore_index, norm, random_start=False)
        if steps != 1:
            raise UserError(f"attack: steps is {steps}: FGSM takes one step: set it to 1, or use PGD")
