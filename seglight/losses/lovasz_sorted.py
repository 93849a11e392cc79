"""The exact Lovász-Softmax loss as a term of the walk: a class after the other, with a sort of its errors."""

import numpy as np
import torch
from torch import Tensor

from seglight.losses.band_pass import Term
from seglight.losses.by_class import by_class


class SortedLovaszTerm(Term):
    """Lovász-Softmax of the batch, or of each image; of one process only.

    Args:
        ignore_index: Mask value that counts for nothing.
        absent: Classes without a pixel count too: their loss is their largest error.
        per_image: The mean of the losses of images with a labelled pixel, in place of the loss of the batch.
    """

    def __init__(self, ignore_index: int, absent: bool, per_image: bool) -> None:
        self.ignore_index, self.absent, self.per_image = ignore_index, absent, per_image

    def at_once(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """A class after the other."""
        if not len(mask):
            self.value, self.gradient = logits.new_zeros((), dtype=torch.float32), torch.zeros_like(logits)
            return True
        step = 1 if self.per_image else len(mask)
        parts = [(logits[k : k + step], mask[k : k + step]) for k in range(0, len(mask), step)]
        labelled = torch.stack([(labels != self.ignore_index).any() for _, labels in parts]).sum()
        results = [self._loss(some, labels) for some, labels in parts]
        scale = 1 / labelled.clamp(min=1)
        self.value = torch.stack([value for value, _ in results]).sum().float() * scale
        self.gradient = torch.cat([gradient for _, gradient in results]) * scale
        return True

    def _loss(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Value, float64, and gradient of some images together."""
        valid = mask != self.ignore_index
        counts = torch.bincount(mask[valid].int(), minlength=logits.shape[1])
        counted = (counts > 0) | (self.absent & valid.any())
        scale = 1 / counted.sum().clamp(min=1)
        value = torch.zeros((), dtype=torch.float64, device=logits.device)

        def visit(label: int, p: Tensor) -> Tensor | None:
            if not counted[label]:
                return None
            of_class = mask == label
            error = torch.where(of_class, 1 - p, p).clamp_(min=0).mul_(valid)
            weight = lovasz_weights(error, of_class, valid).mul_(scale)
            value.add_((weight * error).sum(dtype=torch.float64))
            return torch.where(of_class, -weight, weight).mul_(valid)

        gradient = by_class(logits, (mask.shape[-2], mask.shape[-1]), visit)
        return value, gradient


def lovasz_weights(error: Tensor, of_class: Tensor, valid: Tensor) -> Tensor:
    """The slope of the Lovász extension of the Jaccard distance by each error: algorithm 1 of Berman et al. 2018.

    Args:
        error: (B, H, W) float32, from 0 to 1.
        of_class: (B, H, W) bool, the pixels of the class.
        valid: (B, H, W) bool, those that count; the slope of the others has no meaning.

    Returns:
        (B, H, W) float32.
    """
    # positive floats sort as their bits do: one integer holds the error, where it stands, and whether it's of the class
    keys = torch.where(valid, -error.view(torch.int32), 1).flatten().long()
    position = torch.arange(len(keys), device=keys.device)
    keys = keys.bitwise_left_shift_(31).bitwise_or_(position).bitwise_left_shift_(1).bitwise_or_(of_class.flatten())
    ordered = _sorted(keys)
    missed = (ordered & 1).cumsum_(0)
    total = missed[-1]
    distance = (position + 1) / (total + position + 1 - missed).double()
    distance[1:] -= distance[:-1].clone()
    order = ordered.bitwise_right_shift_(1).bitwise_and_(2**31 - 1)
    return torch.empty_like(error).view(-1).scatter_(0, order, distance.float()).view_as(error)


def _sorted(keys: Tensor) -> Tensor:
    """Ascending; numpy's sort of integers is four times as fast as torch's on a CPU."""
    return torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort().values
