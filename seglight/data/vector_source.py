"""Features of vector files by area: GeoJSON, GeoPackage, shapefiles, read by pyogrio (GDAL), an optional package."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.wkb import Geometry, geometry
from seglight.errors import UserError, one_line
from seglight.images.geo import library

WHAT = "masks as vectors"

WHOLE = (".geojson", ".json")
"""Suffixes of files that GDAL reads as a whole, however small an area is asked for."""

FARTHEST = 720
"""Largest coordinate that can be degrees: files go around the Earth more than once where they cross 180 degrees."""

OVERHEAD = 200
"""Bytes that Python takes for a feature or an array beside its numbers, roughly."""

Bounds = tuple[float, float, float, float]
"""Least x, least y, greatest x and greatest y."""


class Feature(NamedTuple):
    """A feature of a file.

    Args:
        number: Its number: they ascend in the order of the file.
        geometry: Its geometry, of which no part is empty.
        value: Value of the attribute; None: none is read.
    """

    number: int
    geometry: Geometry
    value: Any


class _Stored(NamedTuple):
    """A feature as the file holds it.

    Args:
        number: Its number.
        shape: Its geometry as well-known binary.
        value: Value of the attribute.
    """

    number: int
    shape: bytes
    value: Any


class _Whole(NamedTuple):
    """All features of a file.

    Args:
        features: The features.
        boxes: Bounds of each, (N, 4).
    """

    features: Sequence[_Stored]
    boxes: NDArray[np.float64]


class Memory:
    """What was read, by key: the latest up to some number of bytes, and the last one of any size.

    Args:
        most: Largest number of bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0
        self.kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """What was kept under a key, or None."""
        if key not in self.kept:
            return None
        self.kept.move_to_end(key)
        return self.kept[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of some number of bytes."""
        self.kept[key] = value, size
        self.bytes += size
        while self.bytes > self.most and len(self.kept) > 1:
            self.bytes -= self.kept.popitem(last=False)[1][1]

    def __reduce__(self) -> tuple[type, tuple[int]]:
        """Processes read files themselves."""
        return type(self), (self.most,)


class VectorSource:
    """Features of a layer.

    A GeoPackage is asked for the features of an area, by its index. GeoJSON is read once, and kept.

    Args:
        path: Path of the file.
        attribute: Name of the attribute whose values are read; None: none.
        layer: Name of the layer; None: the only one.
        memory: What was read of this and other files.
    """

    def __init__(self, path: Path, attribute: str | None, layer: str | None, memory: Memory) -> None:
        self.path = path
        self.attribute = attribute
        self.layer = layer
        self.memory = memory

    @cached_property
    def crs(self) -> Any:
        """Reference system of the file, a `rasterio.crs.CRS`; None: it names none.

        Raises:
            UserError: The file can't be read, or has no such layer or attribute.
        """
        library("pyogrio", WHAT)
        from pyogrio import list_layers, read_info
        from pyogrio.errors import DataLayerError, DataSourceError
        from rasterio.crs import CRS

        try:
            layers = [str(name) for name, _ in list_layers(self.path)]
            if (self.layer or layers[0]) not in layers or (self.layer is None and len(layers) > 1):
                raise UserError(f"{self.path}: name one of its layers: {', '.join(layers)}")
            found = read_info(self.path, layer=self.layer)
        except (DataLayerError, DataSourceError) as error:
            raise UserError(f"{self.path}: not readable as vectors ({one_line(error)}): export it again") from error
        if found["geometry_type"] is None:
            raise UserError(f"{self.path}: holds a table without geometries")
        names = [str(name) for name in found["fields"]]
        if self.attribute is not None and self.attribute not in names:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise UserError(f"{self.path}: no attribute {self.attribute}: there are {shown or 'none'}")
        return CRS.from_user_input(found["crs"]) if found["crs"] else None

    def features(self, bounds: Bounds | None) -> list[Feature]:
        """Features in the order of the file.

        Args:
            bounds: Area, in the file's reference system: features whose bounds reach into it are among the result.
                None: everywhere.

        Raises:
            UserError: The file is damaged, or holds curves or surfaces.
        """
        _ = self.crs  # looks at the file first
        if self.path.suffix.lower() not in WHOLE:
            return self._parsed(self._read(bounds))
        whole = self._whole()
        if bounds is None:
            return self._parsed(whole.features)
        x, y, right, top = whole.boxes.T
        near = (x <= bounds[2]) & (right >= bounds[0]) & (y <= bounds[3]) & (top >= bounds[1])
        return self._parsed([whole.features[index] for index in np.flatnonzero(near).tolist()])

    def read_ahead(self) -> None:
        """Read a file now if it is read as a whole.

        Raises:
            UserError: See `features`.
        """
        if self.path.suffix.lower() in WHOLE:
            self._whole()

    def _whole(self) -> _Whole:
        found: _Whole | None = self.memory.get(self.path)
        if found is None:
            stored = {one.number: one for one in self._read(None)}
            features = self._parsed([*stored.values()])
            boxes = np.array([bounds_of(one.geometry) for one in features], np.float64).reshape(-1, 4)
            if self.crs is not None and self.crs.is_geographic and np.abs(boxes).max(initial=0) > FARTHEST:
                raise UserError(
                    f"{self.path}: coordinates up to {np.abs(boxes).max():.0f} are no degrees, in which GeoJSON is "
                    "that names no other reference system: bring it to one (ogr2ogr -a_srs EPSG:... OUT.gpkg "
                    f"{self.path.name})"
                )
            found = _Whole([stored[one.number] for one in features], boxes)
            self.memory.put(self.path, found, sum(len(one.shape) + OVERHEAD for one in found.features))
        return found

    def _read(self, bounds: Bounds | None) -> list[_Stored]:
        """The features of an area that have a geometry, in the order of the file."""
        from pyogrio.errors import DataLayerError, DataSourceError, FieldError
        from pyogrio.raw import read

        columns = [] if self.attribute is None else [self.attribute]
        try:
            _, numbers, shapes, fields = read(
                self.path, layer=self.layer, columns=columns, force_2d=True, bbox=bounds, return_fids=True
            )
        except (DataLayerError, DataSourceError, FieldError) as error:
            raise UserError(f"{self.path}: not readable as vectors ({one_line(error)}): export it again") from error
        if self.path.suffix.lower() in WHOLE:  # whose numbers are what the file says
            numbers = np.arange(len(shapes))
        values = fields[0] if columns else np.full(len(shapes), None)
        stored = map(_Stored, map(int, numbers), shapes, values)
        return sorted((one for one in stored if one.shape is not None), key=lambda one: one.number)

    def _parsed(self, stored: Sequence[_Stored]) -> list[Feature]:
        try:
            found = [Feature(one.number, geometry(one.shape), one.value) for one in stored]
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        burnable = [(one, one.geometry.burnable()) for one in found]
        return [one._replace(geometry=shape) for one, shape in burnable if shape is not None]


def bounds_of(one: Geometry) -> NDArray[np.float64]:
    """Least x, least y, greatest x and greatest y of a geometry that has a point."""
    points = np.concatenate(one.points())
    return np.concatenate([points.min(0), points.max(0)])


def size_of(one: Geometry) -> int:
    """Bytes that a geometry takes in memory, roughly."""
    return OVERHEAD + sum(array.nbytes + OVERHEAD for array in one.points())
