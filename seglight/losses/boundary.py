"""Boundary loss."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.images.opencv import single_threaded_opencv
from seglight.losses.band_pass import LossTerm
from seglight.losses.banded_loss import BandedLoss
from seglight.losses.by_class import by_class
from seglight.system.ranks import mean_scale


class BoundaryLoss(BandedLoss):
    """Mean over labelled pixels of the sum over classes of p times the signed distance to the class's boundary.

    Kervadec et al. 2019, "Boundary loss for highly unbalanced segmentation", equation 5. Distances are in pixels,
    positive outside a class and, as in the authors' code, 0 at its outermost pixels. A class that is absent from an
    image, or the only one in it, has no boundary there: its distances are 0. Ignored pixels are left out and bound no
    class. The loss can be negative; it is meant to be added to another loss with a small weight (0.01 at first in the
    paper).

    It costs two exact distance transforms on the CPU for each class in each image.

    Args:
        ignore_index: Mask value that is ignored.
    """

    def term(self) -> LossTerm:
        """Boundary loss of all labelled pixels."""
        return BoundaryTerm(self.ignore_index)


class BoundaryTerm(LossTerm):
    """Mean over labelled pixels of the sum over classes of p times the signed distance to the class's boundary.

    Args:
        ignore_index: Mask value that is ignored.
    """

    def __init__(self, ignore_index: int) -> None:
        self.ignore_index = ignore_index

    def compute_directly(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """Compute the loss class by class."""
        labels, valid = mask.cpu().numpy(), mask != self.ignore_index
        scale = mean_scale(valid.sum(), over_ranks)
        total = torch.zeros((), dtype=torch.float64, device=logits.device)

        def visit(label: int, p: Tensor) -> Tensor | None:
            if not (labels == label).any():
                return None
            maps = [signed_distance(image == label, image != self.ignore_index) for image in labels]
            distance = torch.from_numpy(np.stack(maps)).to(p.device).mul_(valid)
            total.add_(p.mul_(distance).sum())
            return distance.mul_(scale)

        self.gradient = by_class(logits, (mask.shape[-2], mask.shape[-1]), visit)
        self.value = total.float() * scale
        return True


def signed_distance(inside: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of each pixel from a region: positive outside; inside, 1 - the distance from the pixels outside.

    So it is 0 at the region's outermost pixels and 1 next to them. It is 0 everywhere if no labelled pixel is inside,
    or none outside, because then there is no boundary.

    Args:
        inside: (H, W) pixels of the region.
        labelled: (H, W) pixels that are not ignored; the others are on neither side.

    Returns:
        (H, W), in pixels.
    """
    outside = labelled & ~inside
    if not inside.any() or not outside.any():
        return np.zeros(inside.shape, np.float32)
    return np.where(inside, 1 - _distance_to(outside), _distance_to(inside))


def _distance_to(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Euclidean distance, in pixels, to the nearest pixel of a region."""
    away = (~region).view(np.uint8)
    with single_threaded_opencv():
        distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # the last digit of OpenCV's square roots depends on the address of its memory; the squares are integers
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)
