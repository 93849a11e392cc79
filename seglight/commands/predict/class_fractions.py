"""Fraction of each image that each class covers, and its area on the ground in georeferenced images, as CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.pairs import say_once
from seglight.errors import UserError
from seglight.images.geo import Georeference
from seglight.images.ground_area import row_areas
from seglight.images.label_rows import LabelRows, LabelsInMemory
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
        self.add_rows(name, LabelsInMemory(labels))

    def add_rows(self, name: str, labels: LabelRows) -> None:
        """Add the row of a label map that is read some rows at a time.

        Raises:
            UserError: The label map is damaged.
        """
        areas = self._row_areas(name, labels.shape)
        varies = areas is not None and areas.min() != areas.max()
        length = np.iinfo(labels.dtype).max + 1  # the label of no data is the largest
        counts, totals = np.zeros(length, np.int64), np.zeros(length)
        top = 0
        for band in labels.bands():
            counts += np.bincount(band.ravel(), minlength=length)
            if areas is not None and varies:
                weights = np.repeat(areas[top : top + len(band)], band.shape[1])
                totals += np.bincount(band.ravel(), weights, length)
            top += len(band)
        if areas is not None and not varies:  # exact, as a product
            totals = counts * areas[0]
        number = len(self.class_names)
        pixels, known = labels.shape[0] * labels.shape[1], int(counts[:number].sum())
        fractions = [f"{count / known:.6f}" if known else "" for count in counts[:number]]
        missing = [f"{(pixels - known) / pixels:.6f}"] if self.no_data else []
        shown = [] if areas is None else [f"{area:.12g}" for area in totals[:number]]
        self.rows.append([cell(name), *fractions, *missing, *shown])

    def _row_areas(self, name: str, size: tuple[int, int]) -> NDArray[np.float64] | None:
        """Area (H,) of a pixel in each row, in square metres; None: it is not known."""
        place = self.places.get(name)
        if place is None:
            return None
        try:
            areas = row_areas(place, "shares.csv: no areas")
        except UserError as error:
            say_once(str(error))
            return None
        if size != place.size:
            say_once(f"shares.csv: no areas: {place.path} is turned by a tag: save it upright")
            return None
        return areas

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
