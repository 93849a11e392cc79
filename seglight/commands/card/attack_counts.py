"""Counts of pixels under attack, image by image, and the files that keep them while they are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.errors import UserError
from seglight.metrics.object_size import ObjectSizeIoU
from seglight.ops.confusion import confusion_matrix
from seglight.ops.iou import ratio
from seglight.system.atomic import atomic_path
from seglight.system.damaged_arrays import DAMAGED_ARRAYS


@dataclass(frozen=True)
class AttackCounts:
    """Counts of the images that an attack makes; an ensemble makes several of each.

    Attributes:
        hit: int64 (images, attacks, C), pixels of each class that are predicted as it.
        true: int64 (images, C), pixels of each class.
        predicted: int64 (images, attacks, C), pixels predicted as each class.
        sizes: int64 (images, attacks, 4, C, bins), the counts of `ObjectSizeIoU`.
    """

    hit: NDArray[np.int64]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.true)

    def accuracy(self) -> float:
        """Share of the right pixels, of each image under the worst of the attacks; NaN if nothing is labelled."""
        return float(ratio(self.hit.sum(-1).min(1).sum(), self.true.sum()))

    @classmethod
    def count(cls, candidates: Sequence[Tensor], mask: Tensor, num_classes: int, ignore_index: int) -> "AttackCounts":
        """Count a batch.

        Args:
            candidates: Predicted labels (B, H, W) under each attack.
            mask: (B, H, W), class index or `ignore_index`.
            num_classes: Number of classes C.
            ignore_index: Mask value that is ignored.
        """
        metric = ObjectSizeIoU(num_classes, ignore_index)
        matrices = []
        sizes = []
        for k, true in enumerate(mask):
            matrices.append(
                [confusion_matrix(labels[k], true, num_classes, ignore_index).cpu() for labels in candidates]
            )
            sizes.append([_sizes(metric, labels[k], true) for labels in candidates])
        confusion = np.array([[matrix.numpy() for matrix in of_image] for of_image in matrices])
        hit = confusion.diagonal(axis1=2, axis2=3)
        return cls(hit, confusion[:, 0].sum(2), confusion.sum(2), np.array(sizes))

    @classmethod
    def joined(cls, parts: Sequence["AttackCounts"]) -> "AttackCounts":
        """The images of several parts, one after the other."""
        return cls(
            np.concatenate([part.hit for part in parts]),
            np.concatenate([part.true for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.sizes for part in parts]),
        )

    @classmethod
    def side_by_side(cls, runs: Sequence["AttackCounts"]) -> "AttackCounts":
        """The attacks of several runs on the same images."""
        return cls(
            np.concatenate([run.hit for run in runs], 1),
            runs[0].true,
            np.concatenate([run.predicted for run in runs], 1),
            np.concatenate([run.sizes for run in runs], 1),
        )

    def save(self, path: Path, identity: str) -> None:
        """Write a file, whole or not at all; `identity` says what the counts depend on."""
        with atomic_path(path) as part:
            np.savez_compressed(
                part,
                identity=np.array(identity),
                hit=self.hit,
                true=self.true,
                predicted=self.predicted,
                sizes=self.sizes,
            )

    @classmethod
    def load(cls, path: Path, identity: str) -> "AttackCounts | None":
        """Read what `save` wrote; None if there is no such file.

        Raises:
            UserError: The file is damaged, or of another identity.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                theirs = str(content["identity"])
                counts = cls(*(content[name].astype(np.int64) for name in ("hit", "true", "predicted", "sizes")))
        except FileNotFoundError:
            return None
        except DAMAGED_ARRAYS as error:
            raise UserError(
                f"{path}: damaged ({type(error).__name__}): remove this file, and its images are attacked again"
            ) from error
        if theirs != identity:
            raise UserError(
                f"{path}: counts of another net or other images, or with other options: name a new folder by --out, or "
                "repeat the command that was interrupted"
            )
        return counts


def _sizes(metric: ObjectSizeIoU, labels: Tensor, mask: Tensor) -> NDArray[np.int64]:
    metric.reset()
    metric.update(labels[None], mask[None])
    counts: NDArray[np.int64] = torch.stack([metric.objects, metric.found, metric.missed, metric.wrong]).numpy()
    return counts
