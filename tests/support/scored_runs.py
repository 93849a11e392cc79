"""Run folders with scores of images, without a training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seglight.metrics.image_counts import FILE, ImageCounts, ScoredImages

CLASSES = ("road", "car", "sign")


def image_counts(matrices: np.ndarray) -> ImageCounts:
    """Counts of confusion matrices (images, C, C)."""
    images, classes, _ = matrices.shape
    flat = matrices.reshape(images, -1)
    image, cells = np.nonzero(flat)
    lengths = np.bincount(image, minlength=images).astype(np.int64)
    return ImageCounts(classes, lengths, cells.astype(np.int64), flat[image, cells].astype(np.int64))


def write_run(
    folder: Path,
    matrices: np.ndarray,
    names: Sequence[str] | None = None,
    class_names: Sequence[str] = CLASSES,
    split: str = "val",
) -> Path:
    """Write the two files of an evaluation that comparisons read."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"drive{k // 5}_{k:03d}" for k in range(len(matrices))]
    ScoredImages(split, 1, list(names), image_counts(matrices)).save(folder / FILE)
    (folder / "scores.json").write_text(json.dumps({"iou": dict.fromkeys(class_names, 0.5), "split": split}))
    return folder


def drawn_matrices(recall: Sequence[float], images: int = 40, seed: int = 0, pixels: int = 400) -> np.ndarray:
    """Confusion matrices (images, C, C) of the same labels for each call: a share of each class is recognised.

    Args:
        recall: Share of each class that is recognised on average; the rest goes to the other classes.
        images: Number of images.
        seed: Seed of the predictions, not of the labels.
        pixels: Mean number of pixels of a class in an image.
    """
    labels = np.random.default_rng(7).integers(pixels // 2, 2 * pixels, (images, len(recall)))
    rng = np.random.default_rng(seed)
    rows = np.empty((len(recall), len(recall)))
    for index, share in enumerate(recall):
        rows[index] = (1 - share) / (len(recall) - 1)
        rows[index, index] = share
    return np.stack(
        [[rng.multinomial(labels[image, k], rows[k]) for k in range(len(recall))] for image in range(images)]
    )
