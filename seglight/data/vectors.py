"""Masks as vectors: GeoJSON, GeoPackage, shapefiles, burned in by window on the grid of an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.wkb import Geometry, geometry
from seglight.errors import UserError, one_line
from seglight.images.geo import Georeference, georeference, library

WHAT = "masks as vectors"

ONLY_CLASS = 1
"""Class of all features where neither an attribute nor a class is named: the background is 0."""


class _Features(NamedTuple):
    """What a file holds.

    Args:
        geometries: The geometries, in the order of the file.
        classes: Class index of each.
        crs: Reference system of the file, a `rasterio.crs.CRS`; None: it names none.
    """

    geometries: Sequence[Geometry]
    classes: NDArray[np.uint8]
    crs: Any


class _OnGrid(NamedTuple):
    """Features in pixels of an image, without those that lie elsewhere.

    Args:
        image: The image.
        geometries: The geometries, as columns and rows.
        boxes: Least column, least row, greatest column and greatest row of each, (N, 4).
        classes: Class index of each.
    """

    image: Georeference
    geometries: Sequence[Geometry]
    boxes: NDArray[np.float64]
    classes: NDArray[np.uint8]


class Vectors:
    """Features of a vector file as masks: a pixel is of the class of the last feature that covers its centre.

    The file is read when the first window of an image is. What lies in the last image is kept in memory, in its pixels.

    Args:
        path: Path of the file.
        classes: Class index by the value of the attribute; None: the values are class indices. Without an attribute,
            the only entry is the class of all features.
        attribute: Name of the attribute that tells the class; None: all features are of one class, which is 1 unless
            `classes` says otherwise.
        layer: Name of the layer; None: the only one.
        background: Class index of pixels outside of all features, or the ignore index.
        all_touched: Whether features cover all pixels that they touch, not only those whose centre is inside.

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
    ) -> None:
        self.path = Path(path)
        self.classes = None if classes is None else {str(name): index for name, index in classes.items()}
        self.attribute = attribute
        self.layer = layer
        self.background = background
        self.all_touched = all_touched
        for index in [background, *(self.classes or {}).values()]:
            if not 0 <= index <= 255:
                raise UserError(f"{path}: class {index}: masks hold 0 to 255")
        if attribute is None and self.classes is not None and len(self.classes) != 1:
            raise UserError(f"{path}: {len(self.classes)} classes: name the attribute that tells the class")
        self._grid: _OnGrid | None = None

    def read(self, image_path: Path | str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Mask uint8 (h, w) of a window of an image.

        Args:
            image_path: Path of the image, whose grid the mask has.
            rows: Rows of the window, within the image.
            columns: Columns of the window.

        Raises:
            UserError: The file can't be read, a feature is of no class, or image or file have no georeference.
        """
        grid = self._on_grid(Path(image_path))
        (height, width), (top, left) = _extent(rows, columns), (rows.start or 0, columns.start or 0)
        chosen = np.flatnonzero(_near(grid.boxes, top, left, height, width)).tolist()
        if not chosen:
            return np.full((height, width), self.background, np.uint8)
        from rasterio.features import rasterize

        shift = np.array([left, top], np.float64)
        shapes = [
            (grid.geometries[index].moved(lambda points: points - shift).mapping(), int(grid.classes[index]))
            for index in chosen
        ]
        burned = rasterize(shapes, (height, width), fill=self.background, all_touched=self.all_touched, dtype="uint8")
        return np.asarray(burned, np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        """Processes read the file themselves."""
        return self.__dict__ | {"_grid": None}

    def _on_grid(self, image_path: Path) -> _OnGrid:
        if self._grid is not None and self._grid.image.path == image_path:
            return self._grid
        image = georeference(image_path, what=WHAT)
        features = self._loaded()
        if image.transform is None or (image.crs is None) != (features.crs is None):
            image.check_grid(WHAT)
            raise UserError(
                f"{self.path}: names no coordinate reference system: add it (ogr2ogr -a_srs EPSG:... OUT "
                f"{self.path.name})"
            )
        placed = [one.moved(image.pixels) for one in self._reprojected(features, image.crs)]
        boxes = np.array([_box(one) for one in placed], np.float64).reshape(-1, 4)
        near = _near(boxes, 0, 0, *image.size)
        inside = [placed[index] for index in np.flatnonzero(near).tolist()]
        self._grid = _OnGrid(image, inside, boxes[near], features.classes[near])
        return self._grid

    def _reprojected(self, features: _Features, crs: Any) -> Sequence[Geometry]:
        if features.crs == crs:
            return features.geometries
        from rasterio.errors import RasterioError
        from rasterio.warp import transform

        arrays = [array for one in features.geometries for array in one.points()]
        if not arrays:
            return []
        try:
            x, y = transform(features.crs, crs, *np.concatenate(arrays).T)
        except RasterioError as error:
            raise UserError(f"{self.path}: not brought to the image's reference system ({one_line(error)})") from error
        moved = np.stack([x, y], axis=1)
        if not np.isfinite(moved).all():
            raise UserError(f"{self.path}: some of it lies beyond the area of the image's reference system: cut it")
        pieces = iter(np.split(moved, np.cumsum([len(array) for array in arrays])[:-1]))
        return [one.moved(lambda _: next(pieces)) for one in features.geometries]

    def _loaded(self) -> _Features:
        library("pyogrio", WHAT)
        from pyogrio import list_layers
        from pyogrio.errors import DataLayerError, DataSourceError, FieldError
        from pyogrio.raw import read
        from rasterio.crs import CRS

        try:
            layers = [str(name) for name, _ in list_layers(self.path)]
            if (self.layer or layers[0]) not in layers or (self.layer is None and len(layers) > 1):
                raise UserError(f"{self.path}: name one of its layers: {', '.join(layers)}")
            meta, _, shapes, fields = read(self.path, layer=self.layer, force_2d=True)
        except (DataLayerError, DataSourceError, FieldError) as error:
            raise UserError(f"{self.path}: not readable as vectors ({one_line(error)})") from error
        if shapes is None:
            raise UserError(f"{self.path}: holds a table without geometries")
        there = [index for index, shape in enumerate(shapes) if shape is not None]
        classes = self._classes(list(meta["fields"]), fields, there)
        try:
            geometries = [geometry(shapes[index]) for index in there]
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        filled = [index for index, one in enumerate(geometries) if any(len(array) for array in one.points())]
        crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
        return _Features([geometries[index] for index in filled], classes[filled], crs)

    def _classes(self, names: Sequence[str], fields: Sequence[NDArray[Any]], there: Sequence[int]) -> NDArray[np.uint8]:
        if self.attribute is None:
            (only,) = self.classes.values() if self.classes else (ONLY_CLASS,)
            return np.full(len(there), only, np.uint8)
        if self.attribute not in names:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise UserError(f"{self.path}: no attribute {self.attribute}: there are {shown or 'none'}")
        values = fields[names.index(self.attribute)]
        return np.array([self._class(index, values[index]) for index in there], np.uint8)

    def _class(self, feature: int, value: Any) -> int:
        text = str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)
        if self.classes is not None:
            if text not in self.classes:
                known = ", ".join([*self.classes][:12])
                raise UserError(
                    f"{self.path}: feature {feature}: {self.attribute} is {text}, and the classes are {known}"
                )
            return self.classes[text]
        if not text.isdigit() or int(text) > 255:
            raise UserError(
                f"{self.path}: feature {feature}: {self.attribute} is {text}, no class index: give `classes`, the "
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
    return near & (low_x <= left + width + 1) & (low_y <= top + height + 1)


def _box(one: Geometry) -> NDArray[np.float64]:
    points = np.concatenate(one.points())
    return np.concatenate([points.min(0), points.max(0)])
