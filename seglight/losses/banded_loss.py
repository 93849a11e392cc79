"""Base class of the losses in bands, and the labels that their band pass can compute as well."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seglight.errors import UserError, within
from seglight.interfaces import Loss
from seglight.losses.band_pass import BandGradient, BandPixels, LossTerm, banded_loss
from seglight.ops.label_values import check_loss_inputs
from seglight.ops.upsample import BandLabels


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Check an argument of a loss.

    Args:
        name: Name of the argument, for the message.
        value: Its value.
        low: Smallest value that is allowed.
        high: Largest value that is allowed.

    Raises:
        UserError: The value is outside these bounds.
    """
    if not within(value, low, high):
        bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        shown = f"{value:g}" if isinstance(value, int | float) else value
        raise UserError(f"{name} is {shown}: it has to be {bounds}")


def check_class_weights(name: str, weight: Tensor | None, num_classes: int) -> None:
    """Check that there is one weight for each class.

    Args:
        name: Name of the argument, for the message.
        weight: (C,) weight of each class, or None.
        num_classes: Number of classes C.

    Raises:
        UserError: There is another number of weights.
    """
    if weight is not None and len(weight) != num_classes:
        raise UserError(f"{name} has {len(weight)} weights for {num_classes} classes: give one for each class")


def banded_with_labels(
    logits: Tensor, mask: Tensor, ignore_index: int, terms: Sequence[LossTerm], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Compute `banded_loss` over all processes, and the labels (B, H, W) of `upsampled_argmax` in the same band pass.

    Where torch's own kernel decides every label, as on a GPU, the labels need a pass of their own.
    """
    found = BandLabels(logits, (mask.shape[-2], mask.shape[-1]))
    if found.by_bands:
        terms = [*terms, _LabelTerm(found)]
        weights = [*weights, 0.0]
    loss = banded_loss(logits, mask, ignore_index, terms, weights, over_ranks=True)
    return loss, found.labels()


class _LabelTerm(LossTerm):
    """Finds labels and adds nothing to the loss; the last of the terms, because it overwrites the logits."""

    needs_logits = True

    def __init__(self, found: BandLabels) -> None:
        self.found = found

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        self.value = torch.zeros((), device=logits.device)

    def backward_band(self, pixels: BandPixels) -> BandGradient:
        assert pixels.logits is not None
        self.found.add(pixels.band, pixels.logits.gt_(-self.found.margin))
        return BandGradient()


class BandedLoss(Loss):
    """Base class of losses on the softmax of the upsampled logits, computed band by band; `term` defines the loss.

    Args:
        ignore_index: Mask value that is ignored.
        class_weights: Weight of each class, in the order of the classes, or None.
    """

    weight: Tensor | None

    def __init__(self, ignore_index: int, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(ignore_index)
        weight = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("weight", weight, persistent=False)

    def term(self) -> LossTerm:
        """Return a new term for one call."""
        raise NotImplementedError

    def checked_term(self, num_classes: int) -> LossTerm:
        """Return a new term for one call on logits of `num_classes` classes.

        Raises:
            UserError: `class_weights` has another length.
        """
        check_class_weights("loss.class_weights", self.weight, num_classes)
        return self.term()

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Compute the loss. In training, sums and means are over the pixels of all processes.

        Args:
            logits: (B, C, h, w), any floating point type.
            mask: (B, H, W), any integer type: class index or `ignore_index`.

        Returns:
            Scalar float32.

        Raises:
            UserError: A shape or type does not fit, or on a CPU, a label is neither a class nor `ignore_index`. On a
                GPU, for which the host does not wait, such a label makes the loss NaN.
        """
        check_loss_inputs(logits, mask, self.ignore_index)
        term = self.checked_term(logits.shape[1])
        return banded_loss(logits, mask, self.ignore_index, [term], [1.0], over_ranks=True)

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the labels (B, H, W) of `upsampled_argmax`, from one band pass; raises as `forward`."""
        check_loss_inputs(logits, mask, self.ignore_index)
        term = self.checked_term(logits.shape[1])
        return banded_with_labels(logits, mask, self.ignore_index, [term], [1.0])
