"""Cross-entropy, optionally weighted by class."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.ops.cross_entropy import upsampled_cross_entropy


class CrossEntropy(nn.Module):
    """Mean cross-entropy over the pixels that are not ignored.

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

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss of logits (B, C, h, w) against a mask (B, H, W).

        Raises:
            UserError: `class_weights` has another length than the logits have classes.
        """
        if self.weight is not None and len(self.weight) != logits.shape[1]:
            raise UserError(
                f"loss.class_weights has {len(self.weight)} weights for {logits.shape[1]} classes: give one a class"
            )
        return upsampled_cross_entropy(logits, mask, ignore_index=self.ignore_index, weight=self.weight)

    def mass(self, mask: Tensor) -> Tensor:
        """What the mean divides by, scalar: the weights of the pixels of a mask (B, H, W) that are not ignored."""
        valid = mask != self.ignore_index
        if self.weight is None:
            return valid.sum()
        return (self.weight[mask.int().masked_fill_(~valid, 0)] * valid).sum()
