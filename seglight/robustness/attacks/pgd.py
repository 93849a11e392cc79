"""Projected gradient descent: Madry et al. 2018, arXiv 1706.06083."""

from collections.abc import Sequence

from torch import Tensor

from seglight.errors import UserError, within
from seglight.robustness.attacks.attack import PIXEL_RANGE, Attack
from seglight.robustness.attacks.ball import Ball, Norm
from seglight.robustness.attacks.pixel_losses import PixelLoss, PlainCrossEntropy
from seglight.robustness.attacks.victim import Victim

OVERSHOOT = 2.5
"""Length of all steps together, in radii, unless a step size is given: enough to reach the boundary from any start."""


class PGD(Attack):
    """Steps of one size along the sign of the gradient ("linf") or along the gradient ("l2"), each cut to the ball.

    Args:
        radius: Largest change, as a share of the range of pixel values.
        steps: Number of gradient steps.
        ignore_index: Mask value that is ignored.
        norm: "linf" or "l2".
        step_size: Size of a step, as a share of the range of pixel values; None: 2.5 times the radius divided by the
            number of steps.
        random_start: Whether the first step starts at a random image of the ball, or at the clean one.

    Raises:
        UserError: An argument is out of its range.
    """

    def __init__(
        self,
        radius: float,
        steps: int,
        ignore_index: int,
        norm: Norm = "linf",
        step_size: float | None = None,
        random_start: bool = True,
    ) -> None:
        super().__init__(radius, steps, ignore_index, norm)
        if step_size is not None and not within(step_size, 0):
            raise UserError(f"attack: step_size is {step_size!r}: give a number of at least 0")
        self.step_size = step_size
        self.random_start = random_start

    def loss(self) -> PixelLoss:
        """The loss that the attack increases."""
        return PlainCrossEntropy()

    def perturb(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Tensor:
        """The images after the last step."""
        size = OVERSHOOT * ball.radius / self.steps if self.step_size is None else PIXEL_RANGE * self.step_size
        loss = self.loss()
        weight = loss.pixel_weights(victim.mask, self.ignore_index)
        image = ball.start(seeds) if self.random_start else ball.clean
        for step in range(self.steps):
            look = victim.look(image, loss, weight, step / self.steps)
            assert look.gradient is not None
            image = ball.project(ball.step(image, look.gradient, size))
        return image
