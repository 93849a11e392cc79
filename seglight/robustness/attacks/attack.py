"""Base class of attacks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real

import torch
from torch import Tensor, nn

from seglight.checkpoints.net_bands import pixels_read
from seglight.errors import UserError, within
from seglight.interfaces import Described
from seglight.robustness.attacks.ball import Ball, Norm
from seglight.robustness.attacks.victim import Victim

PIXEL_RANGE = 255
"""Largest value of a pixel: a radius is given as a share of it."""


class Attack(Described):
    """Changes images so that a net labels as many of their pixels wrong as possible.

    The change of an image is at most `radius`: of each value ("linf"), or in its Euclidean norm over all values ("l2").
    An attack sees the net as it is used: in evaluation mode, on images padded to a multiple of 32. An attacked image
    depends on the net, the image, the mask and the image's seed, and not on the other images of the batch, but for what
    the net's own arithmetic makes of a batch.

    Args:
        radius: Largest change, as a share of the range of pixel values, such as 4 / 255.
        steps: Number of gradient steps.
        ignore_index: Mask value that is ignored.
        norm: "linf" or "l2".

    Raises:
        UserError: An argument is out of its range.
    """

    def __init__(self, radius: float, steps: int, ignore_index: int, norm: Norm = "linf") -> None:
        if not isinstance(steps, int) or steps < 1:
            raise UserError(f"attack: steps is {steps!r}: it has to be a whole number of at least 1")
        if norm not in ("linf", "l2"):
            raise UserError(f'attack: norm is {norm!r}: it has to be "linf" or "l2"')
        self.radius = self._checked(radius, norm)
        self.steps = steps
        self.ignore_index = ignore_index
        self.norm: Norm = norm

    @property
    def passes(self) -> int:
        """Largest number of forward passes that an attack on an image takes."""
        return self.steps

    def __call__(
        self, net: nn.Module, image: Tensor, mask: Tensor, seeds: Sequence[int], radius: float | None = None
    ) -> Tensor:
        """Attack a batch.

        Args:
            net: Net that takes images (B, C, H, W) of values from 0 to 255. Its modes and which of its parameters
                require gradients are restored afterwards.
            image: (B, C, H, W), uint8 or floating point of values from 0 to 255.
            mask: (B, H, W), class index or `ignore_index`.
            seeds: One seed of at least 0 for each image.
            radius: Largest change instead of that of the attack.

        Returns:
            The attacked images (B, C, H, W), float32 of values from 0 to 255.

        Raises:
            UserError: The radius is out of its range, the numbers of images, masks and seeds differ, or the net reads
                other images than of 8 bits.
        """
        victim, ball = self._begin(net, image, mask, seeds, radius)
        if ball.radius == 0 or not len(image):
            return ball.clean.clone()
        with attacked(net):
            return self.perturb(victim, ball, seeds)

    def candidates(
        self, net: nn.Module, image: Tensor, mask: Tensor, seeds: Sequence[int], radius: float | None = None
    ) -> Iterator[Tensor]:
        """Yield attacked images (B, C, H, W), of which the caller takes the worst of each image.

        Most attacks make one; an ensemble makes several, and which of them is the worst depends on the score. Arguments
        and errors are those of a call.
        """
        victim, ball = self._begin(net, image, mask, seeds, radius)
        with attacked(net):
            yield from self.perturbations(victim, ball, seeds)

    def perturb(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Tensor:
        """Return the attacked images (B, C, H, W) of a victim within a ball; `seeds` are those of the images."""
        raise NotImplementedError

    def perturbations(self, victim: Victim, ball: Ball, seeds: Sequence[int]) -> Iterator[Tensor]:
        """Yield attacked images as `candidates` does."""
        yield self.perturb(victim, ball, seeds)

    def _begin(
        self, net: nn.Module, image: Tensor, mask: Tensor, seeds: Sequence[int], radius: float | None
    ) -> tuple[Victim, Ball]:
        share = self.radius if radius is None else self._checked(radius, self.norm)
        if not len(image) == len(mask) == len(seeds):
            raise UserError(
                f"attack: there are {len(image)} images, {len(mask)} masks and {len(seeds)} seeds: give one mask and "
                "one seed for each image"
            )
        check_attackable(net)
        ball = Ball(image.detach().float(), PIXEL_RANGE * share, self.norm)
        return Victim(net, mask, self.ignore_index), ball

    @staticmethod
    def _checked(radius: float, norm: Norm) -> float:
        largest = 1 if norm == "linf" else float("inf")
        if not isinstance(radius, Real) or not within(float(radius), 0, largest):
            raise UserError(
                f"attack: radius is {radius!r}: it is a share of the range of pixel values: give a number such as "
                "0.0157 for 4/255"
            )
        return float(radius)


AttackFactory = Callable[[float, int, int], Attack]
"""Called with radius, steps and `ignore_index`."""


def check_attackable(net: nn.Module) -> None:
    """Refuse nets for images that cannot be attacked.

    Raises:
        UserError: The net reads other images than of 8 bits, or images with values that are no data.
    """
    bands = pixels_read(net)
    if bands.type != "uint8" or bands.has_nodata:
        raise UserError(
            f"attack: the net reads {bands.line()}: attacks are of 8-bit images without values that are no data"
        )


@contextmanager
def attacked(net: nn.Module) -> Iterator[None]:
    """Put a net into evaluation mode and its parameters into one without gradients; both are restored afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    try:
        net.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter in trained:
            parameter.requires_grad_(True)


def worse(image: Tensor, right: Tensor, other: Tensor, other_right: Tensor) -> tuple[Tensor, Tensor]:
    """For each of two attacked images, the one with fewer right pixels; the second if they have equally many.

    Args:
        image: (B, C, H, W).
        right: (B,) number of right pixels in each.
        other: (B, C, H, W).
        other_right: (B,) number of right pixels in each.

    Returns:
        Images (B, C, H, W) and their numbers of right pixels (B,).
    """
    better = other_right <= right
    return torch.where(better[:, None, None, None], other, image), torch.minimum(right, other_right)
