"""Counts of boundaries of each image, and the file in the folder of a card that contains them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.ops.iou import ratio
from seglight.system.atomic import atomic_path
from seglight.system.damaged_arrays import DAMAGED_ARRAYS

FILE = "image_boundaries.npz"
"""In the folder of a card, beside the counts per image."""


@dataclass(frozen=True)
class BoundaryCounts:
    """Pixels of boundary bands, as `seglight.metrics.BoundaryIoU` counts them, of each image.

    Attributes:
        intersection: int64 (images, C) pixels of each class in both bands, in the order of the counts per image.
        union: int64 (images, C) pixels of each class in either band.
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write beside and rename."""
        with atomic_path(path) as part:
            np.savez_compressed(part, intersection=self.intersection, union=self.union)

    @classmethod
    def load(cls, path: Path) -> "BoundaryCounts":
        """Read what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                found = cls(content["intersection"].astype(np.int64), content["union"].astype(np.int64))
        except DAMAGED_ARRAYS as error:
            raise UserError(f"{path}: missing or damaged ({type(error).__name__}): write the card anew") from error
        if found.intersection.ndim != 2 or found.intersection.shape != found.union.shape:
            raise UserError(f"{path}: damaged (its parts don't fit each other): write the card anew")
        return found


def mean_boundary_iou(intersection: NDArray[np.int64], union: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean boundary IoU (...) of sums of counts (..., C) over the classes that have a boundary; NaN if none has one."""
    iou = ratio(intersection, union)
    there = ~np.isnan(iou)
    return ratio(np.where(there, iou, 0).sum(-1), there.sum(-1))
