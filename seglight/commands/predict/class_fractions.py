"""Fraction of each image that each class covers, and its area on the ground in georeferenced images, as CSV."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.pairs import say_once
from seglight.errors import UserError
from seglight.images.geo import Georeference
from seglight.images.ground_area import row_areas
from seglight.images.types import LabelMap
from seglight.system.atomic import atomic_path
from seglight.system.escaping import csv as cell

NO_DATA = "no data"
"""Name of the column with the fraction of an image that has no data."""

AREA = "{} (m2)"
"""Name of the column with the area of a class in square metres."""


class ClassFractions:
    """A table with a row for each image: its name, and the fraction of its pixels that each class has.

    Pixels without data, whose label is no class, are left out: the fractions are those of the other pixels, and empty
    if there are none. If some images are georeferenced, further columns have the areas of the classes in square metres,
    which are empty for the other images.

    Args:
        class_names: Names of the classes, by index.
        no_data: Whether there is a column with the fraction of pixels without data.
        places: Georeferences of images, by their name.
    """

    def __init__(
        self, class_names: Sequence[str], no_data: bool = False, places: Mapping[str, Georeference] | None = None
    ) -> None:
        self.class_names = class_names
        self.no_data = no_data
        self.places = places or {}
        self.rows: list[list[str]] = []

    def add(self, name: str, labels: LabelMap) -> None:
        """Add the row of a label map (H, W)."""
        counts = _sum(_counts(band) for _, band in _bands(labels))
        classes = counts[: len(self.class_names)]
        known = int(classes.sum())
        fractions = [f"{count / known:.6f}" if known else "" for count in classes]
        missing = [f"{(labels.size - known) / labels.size:.6f}"] if self.no_data else []
        self.rows.append([cell(name), *fractions, *missing, *self._areas(name, labels)])

    def _areas(self, name: str, labels: LabelMap) -> list[str]:
        """Areas of the classes in square metres; empty if they are not known."""
        place = self.places.get(name)
        if place is None:
            return []
        try:
            areas = row_areas(place, "shares.csv: no areas")
        except UserError as error:
            say_once(str(error))
            return []
        if labels.shape != place.size:
            say_once(f"shares.csv: no areas: {place.path} is turned by a tag: save it upright")
            return []
        if areas.min() == areas.max():  # exact, as a product
            totals = _sum(_counts(band) for _, band in _bands(labels)) * areas[0]
        else:
            totals = _sum(_counts(band, areas[rows]) for rows, band in _bands(labels))
        return [f"{area:.12g}" for area in totals[: len(self.class_names)]]

    def header(self) -> list[str]:
        """Names of the columns."""
        names = ["image", *map(cell, self.class_names), *([NO_DATA] if self.no_data else [])]
        has_areas = any(len(row) > len(names) for row in self.rows)
        return [*names, *(cell(AREA.format(name)) for name in self.class_names if has_areas)]

    def write(self, path: Path) -> None:
        """Write the table atomically."""
        header = self.header()
        rows = [[*row, *[""] * (len(header) - len(row))] for row in self.rows]
        with atomic_path(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _bands(labels: LabelMap) -> Iterator[tuple[slice, LabelMap]]:
    """Rows of a label map, some at a time: bincount converts its input to int64."""
    step = max(1, (1 << 20) // labels.shape[1])
    for top in range(0, len(labels), step):
        yield slice(top, top + step), labels[top : top + step]


def _sum(counts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Sum of arrays of one length, of which one is held at a time."""
    each = iter(counts)
    total = next(each)
    for more in each:
        total = total + more
    return total


def _counts(labels: LabelMap, areas: NDArray[np.float64] | None = None) -> NDArray[np.int64] | NDArray[np.float64]:
    """Number of pixels of each label, or their area if that of a pixel in each row is given."""
    length = np.iinfo(labels.dtype).max + 1  # the label of no data is the largest
    weights = None if areas is None else np.repeat(areas, labels.shape[1])
    return np.bincount(labels.ravel(), weights, length)
