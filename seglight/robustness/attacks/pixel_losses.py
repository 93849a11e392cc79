"""Losses that attacks increase. Each is a function of -log p of the label at every pixel.

An attack needs only the gradient, so that a loss is given by its derivative with respect to nll = -log p. With respect
to the logits z of the pixel the gradient is that derivative times (softmax(z) - one-hot(label)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglight.errors import UserError


@dataclass
class AttackedPixels:
    """The P pixels of a band of b images.

    Attributes:
        exps: (b, C, P) exponentials of the upsampled logits minus the largest of each pixel. Read only.
        sums: (b, P) sum of the exponentials over the classes.
        target: (b, P) int64 class index, 0 where ignored.
        valid: (b, P) bool, False where ignored.
        nll: (b, P) -log p of the label, 0 where ignored.
        right: (b, P) bool, whether the label has the largest logit; False where ignored.
    """

    exps: Tensor
    sums: Tensor
    target: Tensor
    valid: Tensor
    nll: Tensor
    right: Tensor


class PixelLoss:
    """Base class of the losses of attacks."""

    def pixel_weights(self, mask: Tensor, ignore_index: int) -> Tensor | None:
        """Weights (B, H, W) of the pixels of masks (B, H, W), constant during an attack; None for 1."""
        return None

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """The derivative (b, P) of the loss of each pixel with respect to its nll; any value where ignored.

        Args:
            pixels: Pixels of a band.
            share: Share of the attack's steps that are done, from 0 to 1.
        """
        raise NotImplementedError


class PlainCrossEntropy(PixelLoss):
    """Cross-entropy of all labelled pixels."""

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """1."""
        return torch.ones_like(pixels.nll)


class MaskedCrossEntropy(PixelLoss):
    """Cross-entropy of the pixels whose label is still right.

    Croce, Singh & Hein 2024, arXiv 2306.12941, section 3.1: pixels that are wrong already add nothing, so that the
    attack does not spend its radius on them.
    """

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """1 where the label is right."""
        return pixels.right.to(pixels.nll.dtype)


class BalancedMaskedCrossEntropy(MaskedCrossEntropy):
    """`MaskedCrossEntropy` with a weight for each class, so that small classes count as much as large ones.

    Croce, Singh & Hein 2024, arXiv 2306.12941, section 3.1.

    Args:
        class_weights: Weight of each class, such as the inverse of its number of pixels in the data set; None: the
            inverse of its number of pixels in each image.

    Raises:
        UserError: A weight is negative.
    """

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        if class_weights is not None and not all(weight >= 0 for weight in class_weights):
            raise UserError("attack: a class weight is negative or not a number: give weights of at least 0")
        self.class_weights = None if class_weights is None else tuple(class_weights)

    def pixel_weights(self, mask: Tensor, ignore_index: int) -> Tensor:
        """Weight of each pixel's class, 0 where ignored; without weights of classes its mean is 1 in each image.

        Raises:
            UserError: There is no weight for the class of a pixel.
        """
        weights = torch.zeros(mask.shape, device=mask.device)
        for labels, out in zip(mask, weights, strict=True):
            valid = labels != ignore_index
            classes, index, counts = labels[valid].unique(return_inverse=True, return_counts=True)
            of_class = counts.sum() / (len(counts) * counts)
            if self.class_weights is not None and len(classes):
                if int(classes.max()) >= len(self.class_weights):
                    raise UserError(
                        f"attack: there are {len(self.class_weights)} class weights and a pixel of class "
                        f"{int(classes.max())}: give one weight for each class"
                    )
                of_class = torch.tensor(self.class_weights, dtype=torch.float32, device=mask.device)[classes.long()]
            out[valid] = of_class[index]
        return weights


class JensenShannon(PixelLoss):
    """Jensen-Shannon divergence between the predicted probabilities and the label.

    Croce, Singh & Hein 2024, arXiv 2306.12941, section 3.1. With p the probability of the label it is
    (2 log 2 + p log p - (1 + p) log(1 + p)) / 2: it is bounded, and its gradient vanishes where a pixel is surely
    wrong, so that no mask is needed.
    """

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """The derivative p log((1 + p) / p) / 2."""
        p = pixels.nll.neg().exp_()
        return p.log1p().add_(pixels.nll).mul_(p).div_(2)


class SegPGDLoss(PixelLoss):
    """Cross-entropy that moves its weight from right to wrong pixels: Gu et al. 2022, arXiv 2207.12391, equation 5."""

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """1 - lambda where the label is right and lambda where it is wrong, for lambda = share / 2."""
        return torch.where(pixels.right, 1 - share / 2, share / 2)


class CosPGDLoss(PixelLoss):
    """Cross-entropy weighted by how alike prediction and label are: Agnihotri et al. 2024, arXiv 2302.02213, section 3.

    The weight is the cosine of the angle between the probabilities and the one-hot label. It is seen as a constant.
    """

    def by_nll(self, pixels: AttackedPixels, share: float) -> Tensor:
        """The probability of the label, divided by the Euclidean norm of all probabilities."""
        norm = torch.linalg.vector_norm(pixels.exps, dim=1)
        return pixels.nll.neg().exp_().mul_(pixels.sums).div_(norm)
