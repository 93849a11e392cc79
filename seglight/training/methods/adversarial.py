"""Adversarial training: Luc et al. 2016, "Semantic Segmentation using Adversarial Networks", arXiv 1611.08408."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from seglight.errors import UserError, within
from seglight.interfaces import Batch, Criterion, Method

MIN_LABEL_PROBABILITY = 0.9
"""Probability that the labels' distribution assigns at least to the labelled class."""


class AdversarialNetwork(Method):
    """The loss and a discriminator of predictions and labels: a GAN.

    The discriminator D learns to tell predictions from labels (section 3.1): the net minimises loss + `weight` *
    BCE(D(prediction), 1), and D minimises BCE(D(labels), 1) + BCE(D(prediction), 0). A training step takes the
    gradients of both at the same weights. D reads probabilities (B, C, h, w) at the head's stride and no image. Labels
    are in the "scaling" form of section 3.2, so that D can't tell them by their being 0 and 1: the labelled class has
    probability 0.9, or the predicted one if that is higher, and the others share the rest in the predicted proportions.
    Unlabelled places hold the prediction.

    Both minimisations are one: the first sees D's weights as constants, and the second sees the prediction as one, so
    that each gradient of the sum is the gradient of one of them. Hence one backward pass and one optimizer with a group
    for D, under Lightning's automatic optimization: gradient scaling, clipping, accumulation, schedules, checkpoints
    and the count of optimizer steps need nothing for D. With two optimizers, Lightning asks for manual optimization,
    which has no clipping and no accumulation and counts two steps for each batch. In return D is trained by the
    optimizer class of the recipe, and `gradient_clip_val` bounds the norm of all gradients, those of D included.

    It makes no net robust to attacks: that is `AdversarialTraining`.

    Args:
        num_classes: Number of classes C, from the module.
        ignore_index: Mask value that is ignored, from the module.
        weight: Weight of the discriminator's term in the net's loss, lambda in the paper.
        lr: Learning rate of the discriminator, which follows the schedule as that of the net does.
        betas: Coefficients of the discriminator's running averages, for an optimizer of Adam's family.

    Raises:
        UserError: The weight or the learning rate is negative or not finite, or `betas` are not two numbers in [0, 1).
    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int,
        weight: float = 0.1,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(num_classes, ignore_index)
        for name, value in (("weight", weight), ("lr", lr)):
            if not within(value, 0) or value == math.inf:
                raise UserError(f"model.method: {name} is {value}: give a finite number from 0.")
        if not isinstance(betas, Sequence) or len(betas) != 2 or not all(within(b, 0) and b < 1 for b in betas):
            raise UserError(f"model.method: betas is {betas}: give two numbers from 0 and below 1.")
        self.weight = weight
        self.lr = lr
        self.betas = betas
        self.discriminator = discriminator(num_classes)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group, without weight decay."""
        parameters = list(self.discriminator.parameters())
        return [
            {
                "params": parameters,
                "name": "discriminator",
                "lr": self.lr,
                "betas": tuple(self.betas),
                "weight_decay": 0.0,
            }
        ]

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        """The sum of the recipe's loss, the discriminator's term in the net's loss, and the discriminator's loss."""
        output = net(batch["image"])
        loss = criterion(output, batch)
        prediction = output.logits.float().softmax(1)
        if not len(prediction):  # the mean of no places is NaN
            return loss + 0 * sum(parameter.sum() for parameter in self.discriminator.parameters())
        constants = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        fooled = self._cross_entropy(functional_call(self.discriminator, constants, (prediction,)), 1.0)
        prediction = prediction.detach()
        labels = label_distribution(prediction, batch["mask"], self.ignore_index)
        of_labels, of_prediction = self.discriminator(torch.cat([labels, prediction])).chunk(2)
        told = self._cross_entropy(of_labels, 1.0) + self._cross_entropy(of_prediction, 0.0)
        return loss + self.weight * fooled + told

    @staticmethod
    def _cross_entropy(opinion: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(opinion, torch.full_like(opinion, target))


def discriminator(num_classes: int) -> nn.Sequential:
    """From label maps (B, C, h, w) to a logit a region, (B, 1, h / 4, w / 4): seven convolutions, two poolings."""
    layers: list[nn.Module] = []
    below = num_classes
    for width in (96, 128, 128, 0, 256, 256, 0, 512):
        if width:
            layers += [nn.Conv2d(below, width, 3, padding=1), nn.ReLU()]
            below = width
        else:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.Conv2d(below, 1, 3, padding=1))


def label_distribution(prediction: Tensor, mask: Tensor, ignore_index: int) -> Tensor:
    """The labels of a mask as probabilities like those of a prediction (section 3.2, "scaling").

    Args:
        prediction: Probabilities (B, C, h, w).
        mask: Class indices (B, H, W); read at the places of the prediction.
        ignore_index: Mask value that is ignored, as are values of no class.

    Returns:
        Probabilities (B, C, h, w), those of the prediction where nothing is labelled.
    """
    label = F.interpolate(mask[:, None].float(), prediction.shape[-2:], mode="nearest-exact").long()
    # values of no class are refused by the loss of the recipe; here they must not be read as an index
    labelled = (label != ignore_index) & (label >= 0) & (label < prediction.shape[1])
    label = label.where(labelled, 0)
    predicted = prediction.gather(1, label)
    lifted = labelled & (predicted < MIN_LABEL_PROBABILITY)
    least = 1 - MIN_LABEL_PROBABILITY
    others = torch.where(lifted, least / (1 - predicted).clamp_min(least), 1)
    return (prediction * others).scatter(1, label, predicted.where(~lifted, MIN_LABEL_PROBABILITY))
