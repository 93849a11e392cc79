"""Fraction of each image that each class covers, as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seglight.images.types import LabelMap
from seglight.system.atomic import atomic_path
from seglight.system.escaping import csv as cell

NO_DATA = "no data"
"""Name of the column with the fraction of an image that has no data."""


class ClassFractions:
    """A table with a row for each image: its name, and the fraction of its pixels that each class has.

    Pixels without data, whose label is no class, are left out: the fractions are those of the other pixels, and empty
    if there are none.

    Args:
        class_names: Names of the classes, by index.
        no_data: Whether there is a column with the fraction of pixels without data.
    """

    def __init__(self, class_names: Sequence[str], no_data: bool = False) -> None:
        self.class_names = class_names
        self.no_data = no_data
        self.rows: list[list[str]] = []

    def add(self, name: str, labels: LabelMap) -> None:
        """Add the row of a label map (H, W)."""
        # by bands: bincount converts its input to int64
        bands = np.array_split(labels, max(1, labels.size >> 20))
        length = np.iinfo(labels.dtype).max + 1  # the label of no data is the largest
        counts = np.sum([np.bincount(band.ravel(), minlength=length) for band in bands], axis=0)
        classes = counts[: len(self.class_names)]
        known = int(classes.sum())
        fractions = [f"{count / known:.6f}" if known else "" for count in classes]
        missing = [f"{(labels.size - known) / labels.size:.6f}"] if self.no_data else []
        self.rows.append([cell(name), *fractions, *missing])

    def write(self, path: Path) -> None:
        """Write the table atomically."""
        with atomic_path(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            header = ["image", *map(cell, self.class_names), *([NO_DATA] if self.no_data else [])]
            csv.writer(file, lineterminator="\n").writerows([header, *self.rows])
