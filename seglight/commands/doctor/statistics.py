"""Class frequencies and class weights, image sizes and a crop size for them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.commands.doctor.diagnose import diagnose_mask
from seglight.commands.doctor.facts import LabelTable, PairFacts

LARGEST_CROP, STEP = 512, 32


@dataclass(frozen=True)
class Statistics:
    """Counts of a split. Masks that can't be counted are left out.

    Args:
        images: Number of pairs.
        counted: Number of masks that are counted.
        pixels: Number of pixels of each class, (C,).
        images_with: Number of masks that contain each class, (C,).
        ignored: Number of ignored pixels.
        sizes: Number of images of each height and width.
    """

    images: int
    counted: int
    pixels: NDArray[np.int64]
    images_with: NDArray[np.int64]
    ignored: int
    sizes: Counter[tuple[int, int]]

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """The counts as plain values for JSON."""
        rows = zip(names, self.pixels.tolist(), self.images_with.tolist(), strict=True)
        return {
            "images": self.images,
            "masks_counted": self.counted,
            "ignored_share": self.ignored / max(1, self.ignored + int(self.pixels.sum())),
            "classes": {name: {"pixels": pixels, "images": images} for name, pixels, images in rows},
            "sizes": [
                {"height": height, "width": width, "images": n} for (height, width), n in self.sizes.most_common()
            ],
        }


def statistics(facts: Sequence[PairFacts], table: LabelTable) -> Statistics:
    """Count the pixels, classes and sizes of a split."""
    sound = [one.mask for one in facts if is_sound(one, table)]
    pixels, images_with = np.zeros((2, len(table.names)), np.int64)
    for mask in sound:
        pixels += mask.classes
        images_with += mask.classes > 0
    sizes = Counter(one.image.header.size for one in facts if not one.image.header.problem)
    return Statistics(len(facts), len(sound), pixels, images_with, sum(mask.ignored for mask in sound), sizes)


def is_sound(one: PairFacts, table: LabelTable) -> bool:
    """Whether a mask can be counted: it may contain some unknown values, but no other defect."""
    diagnosis = diagnose_mask(one.mask, table)
    return not one.mask.header.problem and (diagnosis is None or diagnosis[0] == "unknown-values")


def class_weights(pixels: NDArray[np.int64]) -> list[float]:
    """Weights 1 / sqrt(fraction) with mean 1 over the classes that occur; 1 for the others."""
    seen = pixels > 0
    weights = np.ones(len(pixels))
    if seen.any():
        weights[seen] = 1 / np.sqrt(pixels[seen] / pixels.sum())
        weights[seen] /= weights[seen].mean()
    return [float(f"{weight:.3g}") for weight in weights]


def class_fractions(pixels: NDArray[np.int64]) -> list[float]:
    """Fraction of the labelled pixels that each class has."""
    return [float(f"{fraction:.4g}") for fraction in pixels / max(1, pixels.sum())]


def crop_size(sizes: Counter[tuple[int, int]]) -> int | tuple[int, int] | None:
    """A training crop: four fifths of the median short side, at most 512, a multiple of 32; 1:2 for panoramas."""
    if not sizes:
        return None
    height, width = np.array(list(sizes.elements())).T
    side = int(np.clip(0.8 * np.median(np.minimum(height, width)) // STEP * STEP, STEP, LARGEST_CROP))
    aspect = np.median(width / height)
    if aspect >= 1.75:
        return side, 2 * side
    return (2 * side, side) if aspect <= 1 / 1.75 else side


def spread_of(sizes: Counter[tuple[int, int]]) -> dict[str, tuple[float, float, float]]:
    """Minimum, median and maximum of height, width and aspect ratio (width over height)."""
    height, width = np.array(list(sizes.elements())).T
    measures = {"height": height, "width": width, "aspect": width / height}
    return {name: (float(v.min()), float(np.median(v)), float(v.max())) for name, v in measures.items()}
