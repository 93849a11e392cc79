"""What losses in bands share: the walk, the check of class weights, and what their mean divides by."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.losses.band_pass import Pixels, Slope, Term, banded_loss
from seglight.ops.label_values import check_loss_inputs
from seglight.ops.upsample import LabelsOfBands, upsampled_argmax


def within(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Check a number of a recipe.

    Raises:
        UserError: It is not between `low` and `high`.
    """
    if not low <= value <= high:
        bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise UserError(f"loss.{name} is {value:g}: it has to be {bounds}")


def mass(loss: nn.Module, mask: Tensor, ignore_index: int) -> Tensor:
    """What a loss divides by, scalar: its own `mass(mask)`, or the pixels of a mask (B, H, W) that are not ignored."""
    own: Callable[[Tensor], Tensor] | None = getattr(loss, "mass", None)
    return (mask != ignore_index).sum() if own is None else own(mask)


def with_labels(loss: nn.Module, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A loss, scalar, and the labels (B, H, W) of `upsampled_argmax`, out of one walk where the loss has one.

    Args:
        loss: Of logits and mask; its own `with_labels(logits, mask)` gives both.
        logits: (B, C, h, w).
        mask: (B, H, W).
    """
    own: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = getattr(loss, "with_labels", None)
    if own is None:
        return loss(logits, mask), upsampled_argmax(logits, (mask.shape[-2], mask.shape[-1]))
    return own(logits, mask)


def banded_with_labels(
    logits: Tensor, mask: Tensor, ignore_index: int, terms: Sequence[Term], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """`banded_loss` over all processes, and the labels (B, H, W) of `upsampled_argmax` out of the same walk.

    Where torch's own kernel decides every label, as on a GPU, they take a walk of their own.
    """
    found = LabelsOfBands(logits, (mask.shape[-2], mask.shape[-1]))
    if found.by_bands:
        terms, weights = [*terms, _LabelTerm(found)], [*weights, 0.0]
    loss = banded_loss(logits, mask, ignore_index, terms, weights, over_ranks=True)
    return loss, found.labels()


class _LabelTerm(Term):
    """The last of the terms: it uses up the values, and adds nothing."""

    keeps_values = True

    def __init__(self, found: LabelsOfBands) -> None:
        self.found = found

    def begin(self, logits: Tensor, mask: Tensor, over_ranks: bool) -> None:
        self.value = torch.zeros((), device=logits.device)

    def slope(self, pixels: Pixels) -> Slope:
        assert pixels.values is not None
        self.found.add(pixels.band, pixels.values.gt_(-self.found.margin))
        return Slope()


class BandedLoss(nn.Module):
    """A loss of the softmax of the upsampled logits, made band by band; `term` says which.

    Args:
        ignore_index: Mask value that counts for nothing.
        class_weights: One weight a class, in the order of the classes, or None.
    """

    weight: Tensor | None

    def __init__(self, ignore_index: int, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        weight = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("weight", weight, persistent=False)

    def term(self) -> Term:
        """A fresh term for one call."""
        raise NotImplementedError

    def checked_term(self, num_classes: int) -> Term:
        """A fresh term for one call on logits of so many classes.

        Raises:
            UserError: `class_weights` has another length.
        """
        if self.weight is not None and len(self.weight) != num_classes:
            raise UserError(
                f"loss.class_weights has {len(self.weight)} weights for {num_classes} classes: give one a class"
            )
        return self.term()

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar float32 of logits (B, C, h, w), any float, against a mask (B, H, W), any integer.

        While training, sums and means are over the pixels of all processes.

        Raises:
            UserError: A shape or type does not fit, or a label on a CPU is neither a class nor `ignore_index`. On a
                GPU, which the host does not wait for, such a label makes the loss NaN.
        """
        check_loss_inputs(logits, mask, self.ignore_index)
        term = self.checked_term(logits.shape[1])
        return banded_loss(logits, mask, self.ignore_index, [term], [1.0], over_ranks=True)

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the labels (B, H, W) of `upsampled_argmax` out of the same walk; raises as `forward`."""
        check_loss_inputs(logits, mask, self.ignore_index)
        term = self.checked_term(logits.shape[1])
        return banded_with_labels(logits, mask, self.ignore_index, [term], [1.0])

    def mass(self, mask: Tensor) -> Tensor:
        """What the mean divides by, scalar: the pixels of a mask (B, H, W) that are not ignored."""
        return (mask != self.ignore_index).sum()
