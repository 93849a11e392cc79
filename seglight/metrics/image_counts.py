"""The confusion matrix of each image, and the file in a run folder that contains them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.system.atomic import atomic_path
from seglight.system.damaged_arrays import DAMAGED_ARRAYS
from seglight.system.run_files import RECIPE_FILE

FILE = "image_scores.npz"
"""In the run folder, beside `scores.json`."""


@dataclass(frozen=True)
class ImageCounts:
    """The confusion matrices of single images, as their non-empty cells: a few hundred of C * C.

    Attributes:
        num_classes: Number of classes C.
        lengths: int64 (images,) number of cells of each image; 0 if all of its pixels are ignored.
        cells: int64 (N,) target * C + prediction of each cell, image after image.
        counts: int64 (N,) number of pixels in each cell.
    """

    num_classes: int
    lengths: NDArray[np.int64]
    cells: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def confusion(self) -> NDArray[np.int64]:
        """The sum of all images: int64 (C, C), rows are true classes, columns predicted ones."""
        total = np.zeros(self.num_classes**2, np.int64)
        np.add.at(total, self.cells, self.counts)
        return total.reshape(self.num_classes, self.num_classes)

    def by_class(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """True positives, true and predicted pixels of each class in each image, each int64 (images, C)."""
        image = np.repeat(np.arange(len(self)), self.lengths)
        target, prediction = np.divmod(self.cells, self.num_classes)
        hit, true, predicted = (np.zeros((len(self), self.num_classes), np.int64) for _ in range(3))
        right = target == prediction
        np.add.at(hit, (image[right], target[right]), self.counts[right])
        np.add.at(true, (image, target), self.counts)
        np.add.at(predicted, (image, prediction), self.counts)
        return hit, true, predicted


@dataclass(frozen=True)
class ScoredImages:
    """The last evaluation of a run, image by image.

    Attributes:
        split: Name of the split, "val" or "test".
        batch_size: Number of images of a step of one process.
        names: Names of the images, in the order of the split.
        counts: Confusion matrices of the images, in the same order.
    """

    split: str
    batch_size: int
    names: list[str]
    counts: ImageCounts

    def save(self, path: Path) -> None:
        """Write beside and rename."""
        with atomic_path(path) as part:
            np.savez_compressed(
                part,
                split=np.array(self.split),
                batch_size=np.array(self.batch_size),
                names=np.array(self.names, dtype=np.str_),
                num_classes=np.array(self.counts.num_classes),
                lengths=self.counts.lengths,
                cells=self.counts.cells,
                counts=self.counts.counts,
            )

    @classmethod
    def load(cls, path: Path) -> "ScoredImages":
        """Read what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        run = path.parent
        recipe = run / RECIPE_FILE
        again = "write the card anew by `seglight card`, or score the run again by `seglight validate`"
        if recipe.is_file():
            again = f"write it with `seglight validate -c {recipe} --ckpt_path CHECKPOINT --run_dir {run}`"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            counts = ImageCounts(
                int(arrays["num_classes"]), *(arrays[name].astype(np.int64) for name in ("lengths", "cells", "counts"))
            )
            scored = cls(str(arrays["split"]), int(arrays["batch_size"]), arrays["names"].tolist(), counts)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file: {again}") from None
        except DAMAGED_ARRAYS as error:
            raise UserError(f"{path}: damaged ({type(error).__name__}): {again}") from error
        if not scored.fits():
            raise UserError(f"{path}: damaged (its parts don't fit each other): {again}")
        return scored

    def fingerprint(self) -> dict[str, Any]:
        """Identity of the images and labels that were scored: the same for anyone with the same files."""
        _, true, _ = self.counts.by_class()
        order = np.argsort([Path(name).name for name in self.names], kind="stable")
        lines = ["\t".join([Path(self.names[k]).name, *map(str, true[k])]) + "\n" for k in order]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        return {"split": self.split, "images": len(lines), "sha256": digest}

    def fits(self) -> bool:
        """Whether the parts can belong to one evaluation."""
        counts = self.counts
        return (
            len(self.names) == len(counts)
            and self.batch_size > 0
            and bool((counts.lengths >= 0).all() and (counts.counts > 0).all())
            and int(counts.lengths.sum()) == len(counts.cells) == len(counts.counts)
            and bool(((counts.cells >= 0) & (counts.cells < counts.num_classes**2)).all())
        )
