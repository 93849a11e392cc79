"""APGD with a decreasing radius, which adapts its step size to the progress of each image."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seglight.robustness.attacks.attack import Attack, worse
from seglight.robustness.attacks.ball import Ball, Norm
from seglight.robustness.attacks.pixel_losses import MaskedCrossEntropy, PixelLoss
from seglight.robustness.attacks.victim import Look, Victim

STAGES = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
"""Radius of each stage, in radii of the attack, and its share of the steps."""

MOMENTUM = 0.75
"""Share of the new step in a move; the rest is that of the last move."""

RISES = 0.75
"""Share of the steps between two checks that have to increase the cross-entropy; otherwise the step size is halved."""

FIRST_CHECK, LATER_CHECKS, LAST_CHECKS = 0.22, 0.03, 0.06
"""Steps up to the first check, by how much fewer up to each later one, and at least how many; in shares of a stage."""


class Found(NamedTuple):
    """The worst images that an attack has seen: (B, C, H, W), and their numbers of right pixels, int64 (B,)."""

    image: Tensor
    right: Tensor


class APGD(Attack):
    """Gradient steps with momentum and a step size that is halved where an image makes no progress.

    Croce & Hein 2020, arXiv 2003.01690, algorithm 1, with the stages of Croce, Singh & Hein 2024, arXiv 2306.12941,
    section 3.2: 30 % of the steps within twice the radius, 30 % within 1.5 times the radius, and the rest within the
    radius. A stage starts at the worst image of the stage before, projected to its own radius. Progress is measured by
    the cross-entropy of all labelled pixels, whichever loss is increased. The result is the image of the last stage
    with the fewest right pixels. An image without any right pixel is done, and takes no more of the stage's passes.

    Args:
        radius: Largest change, as a share of the range of pixel values.
        steps: Number of gradient steps of all stages.
        ignore_index: Mask value that is ignored.
        norm: "linf" or "l2".
        loss: Loss that is increased; None: `MaskedCrossEntropy`.

    Raises:
        UserError: An argument is out of its range.
    """

    def __init__(
        self, radius: float, steps: int, ignore_index: int, norm: Norm = "linf", loss: PixelLoss | None = None
    ) -> None:
        super().__init__(radius, steps, ignore_index, norm)
        self.loss = MaskedCrossEntropy() if loss is None else loss

    @property
    def passes(self) -> int:
        """One for each step, and one at the start of each stage."""
        return self.steps + len(stages(self.steps))

    def perturb(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Tensor:
        """The images with the fewest right pixels."""
        return self.find(victim, ball, seeds).image

    def find(self, victim: Victim, ball: Ball, seeds: Sequence[int], draw: int = 0) -> Found:
        """Return the images with the fewest right pixels, and how many these are.

        Args:
            victim: Net and labels.
            ball: Images that are allowed.
            seeds: Seed of each image.
            draw: Number of the random start of each seed.
        """
        weight = self.loss.pixel_weights(victim.mask, self.ignore_index)
        image = ball.of_radius(STAGES[0][0] * ball.radius).start(seeds, draw)
        found = Found(image, torch.full((len(image),), -1))
        for factor, steps in stages(self.steps):
            stage = _Stage(victim, ball.of_radius(factor * ball.radius), self.loss, weight, steps)
            found = stage.run(found.image)
        return found


def stages(steps: int) -> list[tuple[float, int]]:
    """Radius, in radii of the attack, and number of steps of each stage that has any; the last one always has."""
    counts = [int(share * steps) for _, share in STAGES[:-1]]
    counts.append(steps - sum(counts))
    return [(factor, count) for (factor, _), count in zip(STAGES, counts, strict=True) if count]


class _State:
    """Where the images of a stage are; all tensors are of those that still have a right pixel.

    Attributes:
        image: (B, C, H, W) after the last step.
        previous: (B, C, H, W) before it.
        gradient: (B, C, H, W) at `image`.
        peak: (B, C, H, W) with the largest cross-entropy so far.
        peak_gradient: (B, C, H, W) at `peak`.
        worst: (B, C, H, W) with the fewest right pixels so far.
        right: int64 (B,) number of these.
        highest: (B,) cross-entropy of `peak`.
        highest_at_check: (B,) `highest` at the last check.
        last: (B,) cross-entropy after the last step; 0 before the first one.
        rises: int64 (B,) number of steps since the last check that increased the cross-entropy.
        halved: bool (B,) whether the last check halved the step size.
        size: (B, 1, 1, 1) step size.
    """

    def __init__(self, image: Tensor, look: Look, size: float) -> None:
        assert look.gradient is not None
        self.image = image
        self.previous = image
        self.gradient = look.gradient
        self.peak = image
        self.peak_gradient = look.gradient
        self.worst = image
        self.right = look.right
        self.highest = look.cross_entropy
        self.highest_at_check = look.cross_entropy
        self.last = torch.zeros_like(look.cross_entropy)
        self.rises = torch.zeros_like(look.right)
        self.halved = torch.ones_like(look.right, dtype=torch.bool)
        self.size = image.new_full((len(image), 1, 1, 1), size)

    def keep(self, kept: Tensor) -> None:
        """Keep some of the images, by a bool (B,)."""
        for name, tensor in vars(self).items():
            setattr(self, name, tensor[kept])

    def move(self, ball: Ball, momentum: float) -> None:
        """Step along the gradient and along the last move."""
        stepped = ball.project(ball.step(self.image, self.gradient, self.size))
        moved = self.image + (stepped - self.image) * momentum + (self.image - self.previous) * (1 - momentum)
        self.previous = self.image
        self.image = ball.project(moved)

    def take(self, look: Look) -> None:
        """Enter what the net says about the images after a move."""
        self.worst, self.right = worse(self.worst, self.right, self.image, look.right)
        self.rises += look.cross_entropy > self.last
        self.last = look.cross_entropy
        higher = look.cross_entropy > self.highest
        self.peak = _chosen(higher, self.image, self.peak)
        self.highest = torch.where(higher, look.cross_entropy, self.highest)
        if look.gradient is not None:
            self.gradient = look.gradient
            self.peak_gradient = _chosen(higher, look.gradient, self.peak_gradient)

    def check(self, steps: int) -> None:
        """Halve the step size of the images without progress in the last steps; they go back to their peak."""
        stuck = ~self.halved & (self.highest <= self.highest_at_check)
        self.halved = (self.rises <= RISES * steps) | stuck
        self.highest_at_check = self.highest
        self.rises = torch.zeros_like(self.rises)
        self.size = torch.where(self.halved[:, None, None, None], self.size / 2, self.size)
        self.image = _chosen(self.halved, self.peak, self.image)
        self.gradient = _chosen(self.halved, self.peak_gradient, self.gradient)


class _Stage:
    """Steps within one radius."""

    def __init__(self, victim: Victim, ball: Ball, loss: PixelLoss, weight: Tensor | None, steps: int) -> None:
        self.victim = victim
        self.ball = ball
        self.loss = loss
        self.weight = weight
        self.steps = steps

    def run(self, image: Tensor) -> Found:
        """Return the images of the stage with the fewest right pixels, from those that it starts with."""
        image = self.ball.project(image)
        state = _State(image, self._look(image), 2 * self.ball.radius)
        found = Found(image.clone(), state.right.clone())
        left = torch.arange(len(image), device=image.device)
        period = max(int(FIRST_CHECK * self.steps), 1)
        since = 0
        for step in range(self.steps):
            left = self._without_done(state, left, found)
            if not len(left):
                break
            state.move(self.ball, MOMENTUM if step else 1.0)
            last = step == self.steps - 1
            state.take(self._look(state.image, share=(step + 1) / self.steps, gradient=not last))
            since += 1
            if since == period and not last:
                state.check(period)
                since = 0
                fewer = period - max(int(LATER_CHECKS * self.steps), 1)
                period = max(fewer, int(LAST_CHECKS * self.steps), 1)
        found.image[left] = state.worst
        found.right[left] = state.right
        return found

    def _look(self, image: Tensor, share: float = 0.0, gradient: bool = True) -> Look:
        return self.victim.look(image, self.loss, self.weight, share, gradient)

    def _without_done(self, state: _State, left: Tensor, found: Found) -> Tensor:
        """Put the images without a right pixel into the result, and return the indices of the others."""
        kept = state.right > 0
        if bool(kept.all()):
            return left
        found.image[left] = state.worst
        found.right[left] = state.right
        state.keep(kept)
        self.ball = self.ball.part(kept)
        self.victim = self.victim.part(kept)
        self.weight = None if self.weight is None else self.weight[kept]
        return left[kept]


def _chosen(these: Tensor, image: Tensor, other: Tensor) -> Tensor:
    """(B, C, H, W): `image` where the bool (B,) is True, otherwise `other`."""
    return torch.where(these[:, None, None, None], image, other)
