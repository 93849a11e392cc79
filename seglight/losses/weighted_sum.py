"""A weighted sum of losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import LossFactory
from seglight.losses.band_pass import Term, banded_loss
from seglight.losses.banded_loss import BandedLoss, banded_with_labels
from seglight.ops.label_values import check_loss_inputs
from seglight.ops.upsample import upsampled_argmax


class WeightedSum(nn.Module):
    """The weighted sum of losses, with one softmax of the upsampled logits for all of seglight's own among them.

    Any other module with `loss(logits (B, C, h, w), mask (B, H, W)) -> scalar` can be a member too, and is added.

    Args:
        ignore_index: Mask value that counts for nothing.
        losses: Called with `ignore_index`.
        weights: One a loss.

    Raises:
        UserError: There are not as many weights as losses, or none; or one looks at the images, which it is not given.
    """

    def __init__(self, ignore_index: int, losses: Sequence[LossFactory], weights: Sequence[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(weights):
            raise UserError(f"loss.weights has {len(weights)} weights for {len(losses)} losses: give one a loss")
        self.ignore_index = ignore_index
        self.losses = nn.ModuleList(loss(ignore_index) for loss in losses)
        self.weights = list(weights)
        for loss in self.losses:
            if hasattr(loss, "with_image"):
                name = type(loss).__name__
                raise UserError(f"loss.losses: {name} looks at images: make it the loss, and this sum its own `loss`")

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar float32 of logits (B, C, h, w) against a mask (B, H, W).

        Raises:
            UserError: As of a `BandedLoss`.
        """
        terms, weights, others = self._parts(logits, mask)
        if not terms:
            return others
        return others + banded_loss(logits, mask, self.ignore_index, terms, weights, over_ranks=True)

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the labels (B, H, W) of `upsampled_argmax` out of the walk of seglight's own losses."""
        terms, weights, others = self._parts(logits, mask)
        if not terms:
            return others, upsampled_argmax(logits, (mask.shape[-2], mask.shape[-1]))
        loss, labels = banded_with_labels(logits, mask, self.ignore_index, terms, weights)
        return others + loss, labels

    def _parts(self, logits: Tensor, mask: Tensor) -> tuple[list[Term], list[float], Tensor]:
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

    def mass(self, mask: Tensor) -> Tensor:
        """What accumulated batches are weighed by, scalar: the pixels of a mask (B, H, W) that are not ignored.

        It is what most members divide by; for a cross-entropy with class weights it stands in for the weights' sum.
        """
        return (mask != self.ignore_index).sum()
