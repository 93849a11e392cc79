"""Fraction of each image that each class covers, as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seglight.images.types import LabelMap
from seglight.system.atomic import atomic_path
from seglight.system.escaping import csv as cell


class ClassFractions:
    """A table with a row for each image: its name, and the fraction of its pixels that each class has.

    Args:
        class_names: Names of the classes, by index.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = class_names
        self.rows: list[list[str]] = []

    def add(self, name: str, labels: LabelMap) -> None:
        """Add the row of a label map (H, W)."""
        # by bands: bincount converts its input to int64
        bands = np.array_split(labels, max(1, labels.size >> 20))
        counts = np.sum([np.bincount(band.ravel(), minlength=len(self.class_names)) for band in bands], axis=0)
        self.rows.append([cell(name), *(f"{fraction:.6f}" for fraction in counts / labels.size)])

    def write(self, path: Path) -> None:
        """Write the table atomically."""
        with atomic_path(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["image", *map(cell, self.class_names)], *self.rows])
