"""Masks as vectors: GeoJSON, GeoPackage, shapefiles, burned in by window on the grid of an image."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.vector_source import WHAT, Bounds, Memory, VectorSource, bounds_of, size_of
from seglight.data.wkb import Geometry
from seglight.errors import UserError, one_line
from seglight.images.geo import Georeference, georeference

ONLY_CLASS = 1
"""Class of all features where neither an attribute nor a class is named: the background is 0."""

CELL = 4096
"""Side in pixels of the parts of an image whose features are read together."""

CELL_BYTES = 1 << 27
"""Largest number of bytes of features in pixels of images that are kept."""

FILE_BYTES = 1 << 28
"""Largest number of bytes of whole files that are kept."""

MARGIN = 0.01
"""Part of the sides of an area by which it is enlarged: the bounds of an area in another system are not exact."""


class VectorMemory(NamedTuple):
    """What was read of vector files.

    Args:
        files: Whole files.
        cells: Features in parts of images.
    """

    files: Memory
    cells: Memory

    @classmethod
    def empty(cls) -> "VectorMemory":
        """Memory of the usual size."""
        return cls(Memory(FILE_BYTES), Memory(CELL_BYTES))


class _Cell(NamedTuple):
    """Features that reach into a part of an image.

    Args:
        numbers: Numbers of the features in the file, ascending.
        geometries: The geometries, as columns and rows of the image.
        boxes: Least column, least row, greatest column and greatest row of each, (N, 4).
        classes: Class index of each.
    """

    numbers: Sequence[int]
    geometries: Sequence[Geometry]
    boxes: NDArray[np.float64]
    classes: Sequence[int]


class Vectors:
    """Features of a vector file as masks: a pixel is of the class of the last feature that covers its centre.

    Features are read by parts of the image of 4096 x 4096 pixels, and the latest ones stay in memory.

    Args:
        path: Path of the file.
        classes: Class index by the value of the attribute; None: the values are class indices. Without an attribute,
            the only entry is the class of all features.
        attribute: Name of the attribute that tells the class; None: all features are of one class, which is 1 unless
            `classes` says otherwise.
        layer: Name of the layer; None: the only one.
        background: Class index of pixels outside of all features, or the ignore index.
        all_touched: Whether features cover all pixels that they touch, not only those whose centre is inside.
        memory: What was read of this and other files; None: of this one only.

    Raises:
        UserError: A class index is not 0 to 255, or several classes are given without an attribute.
    """

    def __init__(
        self,
        path: Path | str,
        classes: Mapping[str, int] | None = None,
        attribute: str | None = None,
        layer: str | None = None,
        background: int = 0,
        all_touched: bool = False,
        memory: VectorMemory | None = None,
    ) -> None:
        self.path = Path(path)
        self.classes = None if classes is None else {str(name): index for name, index in classes.items()}
        self.attribute = attribute
        self.memory = memory or VectorMemory.empty()
        self.source = VectorSource(self.path, attribute, layer, self.memory.files)
        self.images: dict[Path, Georeference] = {}
        self.background = background
        self.all_touched = all_touched
        for index in [background, *(self.classes or {}).values()]:
            if not 0 <= index <= 255:
                raise UserError(f"{path}: class {index}: masks hold 0 to 255")
        if attribute is None and self.classes is not None and len(self.classes) != 1:
            raise UserError(f"{path}: {len(self.classes)} classes: name the attribute that tells the class")

    def read(self, image_path: Path | str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Mask uint8 (h, w) of a window of an image.

        Args:
            image_path: Path of the image, whose grid the mask has.
            rows: Rows of the window, within the image.
            columns: Columns of the window.

        Raises:
            UserError: The file can't be read, a feature is of no class, or image or file have no georeference.
        """
        image = self._image(Path(image_path))
        (height, width), (top, left) = _extent(rows, columns), (rows.start or 0, columns.start or 0)
        chosen: dict[int, tuple[Geometry, int]] = {}
        for y, x in product(range(top // CELL, -(-rows.stop // CELL)), range(left // CELL, -(-columns.stop // CELL))):
            cell = self._cell(image, y, x)
            for index in np.flatnonzero(_near(cell.boxes, top, left, height, width)).tolist():
                chosen[cell.numbers[index]] = cell.geometries[index], cell.classes[index]
        if not chosen:
            return np.full((height, width), self.background, np.uint8)
        from rasterio.features import rasterize

        shift = np.array([left, top], np.float64)
        shapes = [
            (one.moved(lambda points: points - shift).mapping(), index) for _, (one, index) in sorted(chosen.items())
        ]
        burned = rasterize(shapes, (height, width), fill=self.background, all_touched=self.all_touched, dtype="uint8")
        return np.asarray(burned, np.uint8)

    def check(self, image_path: Path | str) -> None:
        """Check that masks of an image can be burned in; processes that are forked off then have read GeoJSON already.

        Raises:
            UserError: The file can't be read, or image or file have no georeference.
        """
        self._image(Path(image_path))
        self.source.read_ahead()

    def _image(self, path: Path) -> Georeference:
        """Georeference of an image, on whose grid the features can be placed."""
        if path not in self.images:
            image = georeference(path, what=WHAT)
            if image.transform is None or (image.crs is None) != (self.source.crs is None):
                image.check_grid(WHAT)
                raise UserError(
                    f"{self.path}: names no coordinate reference system: add it (ogr2ogr -a_srs EPSG:... OUT "
                    f"{self.path.name})"
                )
            self.images[path] = image
        return self.images[path]

    def _cell(self, image: Georeference, y: int, x: int) -> _Cell:
        """Features that reach into a part of an image."""
        key = (self.path, image.path, y, x)
        found: _Cell | None = self.memory.cells.get(key)
        if found is None:
            height, width = (min(CELL, size - CELL * part) for size, part in zip(image.size, (y, x), strict=True))
            place = y * CELL, x * CELL, height, width
            features = self.source.features(self._area(image, *place))
            placed = [one.moved(image.pixels) for one in self._reprojected([one.geometry for one in features], image)]
            boxes = np.array([bounds_of(one) for one in placed], np.float64).reshape(-1, 4)
            chosen = np.flatnonzero(_near(boxes, *place)).tolist()
            found = _Cell(
                [features[index].number for index in chosen],
                [placed[index] for index in chosen],
                boxes[chosen],
                [self._class(features[index].number, features[index].value) for index in chosen],
            )
            self.memory.cells.put(key, found, sum(map(size_of, found.geometries)))
        return found

    def _area(self, image: Georeference, top: int, left: int, height: int, width: int) -> Bounds | None:
        """Bounds of a part of an image in the file's reference system, and a bit more; None if they are not known."""
        corners = [(left + width * x, top + height * y) for y in (0, 1) for x in (0, 1)]
        points = image.coordinates(np.array(corners, np.float64))
        found: Bounds = (*points.min(0).tolist(), *points.max(0).tolist())
        if image.crs != self.source.crs:
            from rasterio.errors import RasterioError
            from rasterio.warp import transform_bounds

            try:
                found = transform_bounds(image.crs, self.source.crs, *found)
            except RasterioError:
                return None
        if not np.isfinite(found).all() or found[0] >= found[2] or found[1] >= found[3]:
            return None  # an area across the edge of the system, such as 180 degrees
        margins = [max(MARGIN, 2 / side) * (found[k + 2] - found[k]) for k, side in ((0, width), (1, height))]
        return found[0] - margins[0], found[1] - margins[1], found[2] + margins[0], found[3] + margins[1]

    def _reprojected(self, shapes: Sequence[Geometry], image: Georeference) -> Sequence[Geometry]:
        if self.source.crs == image.crs:
            return shapes
        from rasterio.errors import RasterioError
        from rasterio.warp import transform

        arrays = [array for one in shapes for array in one.points()]
        if not arrays:
            return []
        try:
            x, y = transform(self.source.crs, image.crs, *np.concatenate(arrays).T)
        except RasterioError as error:
            raise UserError(f"{self.path}: not brought to the image's reference system ({one_line(error)})") from error
        moved = np.stack([x, y], axis=1)
        if not np.isfinite(moved).all():
            raise UserError(f"{self.path}: some of it lies beyond the area of the image's reference system: cut it")
        pieces = iter(np.split(moved, np.cumsum([len(array) for array in arrays])[:-1]))
        return [one.moved(lambda _: next(pieces)) for one in shapes]

    def _class(self, feature: int, value: Any) -> int:
        if self.attribute is None:
            return next(iter(self.classes.values())) if self.classes else ONLY_CLASS
        text = str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)
        if self.classes is not None:
            if text not in self.classes:
                known = ", ".join([*self.classes][:12])
                raise UserError(
                    f"{self.path}: feature {feature}: {self.attribute} is {text[:40]}, and the classes are {known}"
                )
            return self.classes[text]
        if not text.isdecimal() or int(text) > 255:
            raise UserError(
                f"{self.path}: feature {feature}: {self.attribute} is {text[:40]}, no class index: give `classes`, the "
                "index by value"
            )
        return int(text)


def _extent(rows: slice, columns: slice) -> tuple[int, int]:
    """Height and width of a window.

    Raises:
        UserError: It has no end, or is empty.
    """
    size = [(part.stop or 0) - (part.start or 0) for part in (rows, columns)]
    if min(size) < 1:
        raise UserError(
            f"{WHAT}: a window of rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        )
    return size[0], size[1]


def _near(boxes: NDArray[np.float64], top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    """Which boxes reach into a window or into the pixels around it."""
    low_x, low_y, high_x, high_y = boxes.T
    near: NDArray[np.bool_] = (high_x >= left - 1) & (high_y >= top - 1)
    near &= (low_x <= left + width + 1) & (low_y <= top + height + 1)
    return near
