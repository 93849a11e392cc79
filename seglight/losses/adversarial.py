"""Training against a discriminator of label maps (Luc et al. 2016, arXiv 1611.08408)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Loss, LossFactory
from seglight.losses.band_pass import guard_labels
from seglight.losses.cross_entropy import CrossEntropy
from seglight.losses.plain_loss import as_loss
from seglight.ops.label_values import check_loss_inputs
from seglight.system.ranks import sum_over_ranks, world_size

LEAST = 0.9
"""What the labels' distribution gives the labelled class at least."""


class Adversarial(Loss):
    """A loss of the labels, and while training of a net that is learning to tell predictions from labels (section 3.1).

    Each training step first trains the discriminator by a step of Adam, then asks it about the prediction. Both happen
    on probabilities at the head's stride. It sees the label maps alone, in the "scaling" form of section 3.2, so that
    it can't tell them by their being 0 and 1: the labelled class has 0.9 or, if that is more, what is predicted, the
    others share the rest as predicted; where nothing is labelled stands the prediction.

    Args:
        ignore_index: Mask value that counts for nothing.
        num_classes: C.
        weight: Of the discriminator's opinion, lambda; the labels' loss has 1.
        lr: Learning rate of the discriminator.
        loss: That of the labels, called with `ignore_index`.

    Raises:
        UserError: The weight is negative.
    """

    needs_image = True

    def __init__(
        self,
        ignore_index: int,
        num_classes: int,
        weight: float = 0.1,
        lr: float = 1e-4,
        loss: LossFactory = CrossEntropy,
    ) -> None:
        super().__init__(ignore_index)
        if weight < 0:
            raise UserError(f"loss.weight {weight}: it is 0 or more")
        self.num_classes, self.weight = num_classes, weight
        self.hard = loss(ignore_index)
        # frozen but for its own steps: it is none of what the optimizer of the training or DDP looks after
        self.discriminator = discriminator(num_classes).requires_grad_(False)
        self.adam = torch.optim.Adam(self.discriminator.parameters(), lr, betas=(0.5, 0.999))
        self.loaded: dict[str, Any] | None = None

    def get_extra_state(self) -> dict[str, Any]:
        """The discriminator's optimizer, for a run that goes on."""
        return self.adam.state_dict() if self.loaded is None else self.loaded

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Kept until the first step: before it the module may still change its device."""
        self.loaded = state

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The loss of the labels alone, scalar, of logits (B, C, h, w) against a mask (B, H, W)."""
        hard: Tensor = self.hard(logits, mask)
        return hard

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`, and the labels (B, H, W) of `upsampled_argmax`."""
        return as_loss(self.hard, self.ignore_index).with_labels(logits, mask)

    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Train the discriminator; the sum of both losses, scalar.

        Raises:
            UserError: `num_classes` is not that of the logits, or as of a `BandedLoss`.
        """
        check_loss_inputs(logits, mask, self.ignore_index)
        if logits.shape[1] != self.num_classes:
            raise UserError(f"loss.num_classes is {self.num_classes}: the data has {logits.shape[1]}")
        with torch.autocast(logits.device.type, enabled=False):
            prediction = logits.float().softmax(1)
            # the loss of the labels says what is wrong
            indexed, _ = guard_labels(mask, self.num_classes, self.ignore_index)
            self._train_discriminator(prediction.detach(), indexed)
            opinion = self.discriminator(prediction)
            fooled = _mean_cross_entropy(opinion, torch.ones_like(opinion))
        loss: Tensor = self.hard(logits, mask) + self.weight * fooled
        return loss

    def _train_discriminator(self, prediction: Tensor, mask: Tensor) -> None:
        if self.loaded is not None:
            self.adam.load_state_dict(self.loaded)
            self.loaded = None
        maps = torch.cat([label_distribution(prediction, mask, self.ignore_index), prediction])
        true = torch.zeros(len(maps), 1, 1, 1, device=maps.device)
        true[: len(prediction)] = 1
        self.discriminator.requires_grad_(True)
        opinion = self.discriminator(maps)
        loss = 2 * _mean_cross_entropy(opinion, true.expand_as(opinion))  # the sum of two means
        parameters = [*self.discriminator.parameters()]
        gradients = sum_over_ranks(*torch.autograd.grad(loss, parameters))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient / world_size()
        self.adam.step()
        self.adam.zero_grad()
        self.discriminator.requires_grad_(False)

    def denominator(self, mask: Tensor) -> Tensor:
        """What accumulated batches are weighed by, scalar: the pixels of a mask (B, H, W) that are labelled."""
        return as_loss(self.hard, self.ignore_index).denominator(mask)


def _mean_cross_entropy(opinion: Tensor, true: Tensor) -> Tensor:
    """Binary cross-entropy, scalar; 0 of no images, of which the mean would be NaN."""
    return F.binary_cross_entropy_with_logits(opinion, true) if len(opinion) else opinion.sum()


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
    """The labels of a mask (B, H, W) at the places of a prediction (B, C, h, w), as probabilities like those."""
    small = F.interpolate(mask[:, None].float(), prediction.shape[-2:], mode="nearest-exact").long()
    labelled = small != ignore_index
    label = small.where(labelled, 0)
    predicted = prediction.gather(1, label)
    lifted = labelled & (predicted < LEAST)
    others = torch.where(lifted, (1 - LEAST) / (1 - predicted).clamp_min(1 - LEAST), 1)
    return (prediction * others).scatter(1, label, predicted.where(~lifted, LEAST))
