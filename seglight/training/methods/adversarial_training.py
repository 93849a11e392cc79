"""Adversarial training: each step is taken on images that were attacked just before it (arXiv 1706.06083)."""

import math
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor, nn

from seglight.errors import UserError, within
from seglight.interfaces import Batch, Criterion, Method
from seglight.robustness import PGD
from seglight.robustness.attacks.attack import AttackFactory, check_attackable
from seglight.system.ranks import rank, world_size


class AdversarialTraining(Method):
    """The loss on attacked images: it makes a net robust to perturbations.

    The net learns to withstand changes of each pixel by up to `radius`. In each step the images of the batch are
    attacked by a few steps of gradient ascent, and the loss is that of the attacked images with the labels of the clean
    ones (arXiv 1706.06083, equation 2.1). SegPGD as attack is arXiv 2207.12391, PGD with a robust initialisation
    (`model.weights`) is PIR-AT of arXiv 2306.12941. While it is attacked, the net is in evaluation mode and its
    parameters have no gradients: statistics of batch norms do not change, dropout is off. A step costs about 1 + 2/3
    `steps` times as much as one of `Supervised`.

    A loss that reads images (`needs_image`) or has a teacher is given the clean ones. Evaluations are of clean images:
    `best.ckpt` is that of the best clean score, which may lie within the warm-up of the radius; `last.ckpt` is the net
    that was trained in full.

    This is not `AdversarialNetwork`, where a second net, the discriminator of a GAN, learns to tell predictions from
    labels: that one changes the loss, not the images, and makes no net robust.

    Args:
        num_classes: Number of classes C, from the module.
        ignore_index: Mask value that is ignored, from the module.
        attack: Factory of the attack, called with `radius`, `steps` and `ignore_index`.
        radius: Largest change by the attack, as a share of the range of pixel values: 4/255 is 0.0157.
        steps: Steps of the attack.
        share: Fraction of the images that are attacked; the others of a batch stay clean.
        warmup_batches: Training batches in which the radius rises linearly from 0 to `radius`. Batches that
            `accumulate_grad_batches` joins count one by one.
        seed: Seed of the attack's random numbers: those of an image depend on the seed, on the number of batches
            before, and on the place of the image among those of all processes.

    Raises:
        UserError: One of the numbers is out of its range.
    """

    batches: Tensor

    def __init__(
        self,
        num_classes: int,
        ignore_index: int,
        attack: AttackFactory = PGD,
        radius: float = 4 / 255,
        steps: int = 3,
        share: float = 1.0,
        warmup_batches: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes, ignore_index)
        _check(radius, share, {"warmup_batches": warmup_batches, "seed": seed})
        self.attack = attack(radius, steps, ignore_index)
        self.radius = radius
        self.share = share
        self.warmup_batches = warmup_batches
        self.seed = seed
        # a buffer, so that checkpoints hold it; an integer, so that averages of weights copy it
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        """The loss of the images of the batch, of which a `share` is attacked."""
        number = int(self.batches)
        loss = criterion(net(self._attacked(net, batch, number)), batch)
        self.batches += 1
        return loss

    def check_net(self, net: nn.Module) -> None:
        """Refuse nets for images that cannot be attacked.

        Raises:
            UserError: The net reads other images than of 8 bits, or images with values that are no data.
        """
        try:
            check_attackable(net)
        except UserError as error:
            raise UserError(f"model.method AdversarialTraining: {error}: leave model.method out") from error

    def radius_at(self, number: int) -> float:
        """The radius of a training batch.

        Args:
            number: Training batches before it.
        """
        return self.radius * min(1.0, (number + 1) / max(1, self.warmup_batches))

    def seeds_at(self, number: int, places: list[int]) -> list[int]:
        """The seeds of images of a training batch.

        Args:
            number: Training batches before it.
            places: Places of the images among those of all processes.
        """
        sequences = (np.random.SeedSequence((self.seed, number, place)) for place in places)
        return [int(sequence.generate_state(1, np.uint64)[0] >> 1) for sequence in sequences]

    def _attacked(self, net: nn.Module, batch: Batch, number: int) -> Tensor:
        image = batch["image"]
        processes = world_size()
        # process r has the places r, r + processes, ... of what is one batch for a single process
        places = list(islice(count(rank(), processes), len(image)))
        before = number * len(image) * processes
        chosen = [k for k, place in enumerate(places) if self._is_attacked(before + place)]
        if not chosen:
            return image
        attacked = image.to(torch.float32, copy=True)
        seeds = self.seeds_at(number, [places[k] for k in chosen])
        attacked[chosen] = self.attack(net, attacked[chosen], batch["mask"][chosen], seeds, self.radius_at(number))
        return attacked

    def _is_attacked(self, position: int) -> bool:
        """Whether an image is, by its position in the run: the attacked ones are evenly spread."""
        return math.floor((position + 1) * self.share) > math.floor(position * self.share)


def _check(radius: float, share: float, counts: dict[str, int]) -> None:
    """What the attack does not check: it takes a radius of 0."""
    if radius == 0:
        raise UserError(
            "model.method: radius is 0: without attacks training is that of seglight.training.methods.Supervised."
        )
    if not within(share, 0, 1):
        raise UserError(f"model.method: share is {share}: give a number from 0 to 1.")
    for name, value in counts.items():
        if not isinstance(value, int) or value < 0:
            raise UserError(f"model.method: {name} is {value}: give a whole number from 0.")
