"""Boundary loss as a term of the walk."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.losses.band_pass import Term
from seglight.losses.by_class import by_class
from seglight.system.ranks import mean_scale


class BoundaryTerm(Term):
    """Mean over labelled pixels of the sum over classes of p times the signed distance to the class's boundary.

    Args:
        ignore_index: Mask value that counts for nothing.
    """

    def __init__(self, ignore_index: int) -> None:
        self.ignore_index = ignore_index

    def at_once(self, logits: Tensor, mask: Tensor, over_ranks: bool, needs_gradient: bool) -> bool:
        """A class after the other."""
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
    """Distance of each pixel from the region (H, W): positive outside, and inside 1 - that from the rest.

    So it is 0 at the region's outermost pixels and 1 next to them. It is 0 everywhere where the labels show the region
    alone, or nothing of it: there is no boundary. Pixels that are not labelled are of neither side.
    """
    outside = labelled & ~inside
    if not inside.any() or not outside.any():
        return np.zeros(inside.shape, np.float32)
    return np.where(inside, 1 - _distance_to(outside), _distance_to(inside))


def _distance_to(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Euclidean distance, in pixels, to the nearest pixel of a region."""
    away = (~region).view(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32, copy=False)
