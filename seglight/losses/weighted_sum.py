"""A weighted sum of losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Loss, LossFactory
from seglight.losses.band_pass import LossTerm, banded_loss
from seglight.losses.banded_loss import BandedLoss, banded_with_labels
from seglight.losses.plain_loss import check_plain
from seglight.ops.label_values import check_loss_inputs
from seglight.ops.upsample import upsampled_argmax


class WeightedSum(Loss):
    """The weighted sum of losses, with one softmax of the upsampled logits for all of seglight's own among them.

    Any other module with `forward(logits (B, C, h, w), mask (B, H, W))` that returns a scalar can be a member too.
    Accumulated batches are weighted by their labelled pixels, also where a member divides by the sum of class weights.

    Args:
        ignore_index: Mask value that is ignored.
        losses: Factories of the losses, called with `ignore_index`.
        weights: Weight of each loss.

    Raises:
        UserError: There are not as many weights as losses, or none, or a loss needs the images, which it would not get.
    """

    def __init__(self, ignore_index: int, losses: Sequence[LossFactory], weights: Sequence[float]) -> None:
        super().__init__(ignore_index)
        if not losses or len(losses) != len(weights):
            raise UserError(f"loss.weights has {len(weights)} weights for {len(losses)} losses: give one for each loss")
        self.losses = nn.ModuleList(loss(ignore_index) for loss in losses)
        self.weights = list(weights)
        for loss in self.losses:
            if not isinstance(loss, Loss):
                check_plain(type(loss), ["with_image"])
            elif loss.needs_image:
                name = type(loss).__name__
                raise UserError(f"loss.losses: {name} needs the images: make it the loss, and this sum its own `loss`")

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Compute the weighted sum.

        Args:
            logits: (B, C, h, w), any floating point type.
            mask: (B, H, W), any integer type: class index or `ignore_index`.

        Returns:
            Scalar float32.

        Raises:
            UserError: As `BandedLoss.forward`.
        """
        terms, weights, others = self._parts(logits, mask)
        if not terms:
            return others
        return others + banded_loss(logits, mask, self.ignore_index, terms, weights, over_ranks=True)

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the labels (B, H, W) of `upsampled_argmax` from the band pass of seglight's losses."""
        terms, weights, others = self._parts(logits, mask)
        if not terms:
            return others, upsampled_argmax(logits, (mask.shape[-2], mask.shape[-1]))
        loss, labels = banded_with_labels(logits, mask, self.ignore_index, terms, weights)
        return others + loss, labels

    def _parts(self, logits: Tensor, mask: Tensor) -> tuple[list[LossTerm], list[float], Tensor]:
        """Terms of seglight's own losses, a weight for each, and the weighted sum of all others."""
        check_loss_inputs(logits, mask, self.ignore_index)
        terms, weights, others = [], [], torch.zeros((), device=logits.device)
        for weight, loss in zip(self.weights, self.losses, strict=True):
            if isinstance(loss, BandedLoss):
                terms.append(loss.checked_term(logits.shape[1]))
                weights.append(weight)
            else:
                others = others + weight * loss(logits, mask)
        return terms, weights, others
