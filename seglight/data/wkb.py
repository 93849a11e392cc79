"""Geometries in well-known binary (OGC 06-103r4, section 8), as GeoJSON's types and NumPy arrays."""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError

NAMES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
"""Names of the types by their number; the others are curves and surfaces."""

Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Function of points x, y (N, 2)."""


FEWEST = {"LineString": 2, "Polygon": 4}
"""Least number of points of a line and of a ring, whose last point is its first."""


class Geometry(NamedTuple):
    """A geometry.

    Args:
        type: GeoJSON's name of the type.
        parts: Arrays of points x, y (N, 2) of a Point, a LineString, or the rings of a Polygon; else geometries.
    """

    type: str
    parts: list[Any]

    def points(self) -> list[NDArray[np.float64]]:
        """The arrays of points of the geometry and of its parts."""
        return [array for part in self.parts for array in (part.points() if isinstance(part, Geometry) else [part])]

    def moved(self, move: Move) -> "Geometry":
        """The geometry with other points."""
        return Geometry(
            self.type, [part.moved(move) if isinstance(part, Geometry) else move(part) for part in self.parts]
        )

    def burnable(self) -> "Geometry | None":
        """The geometry without parts that are empty or cover nothing, with which GDAL burns in none; None: all are."""
        parts: list[Any]
        if self.type in ("Point", "LineString", "Polygon"):
            parts = [part for part in self.parts if len(part) >= FEWEST.get(self.type, 1)]
            whole = parts and parts[0] is self.parts[0]  # without its outline, a polygon has no holes
        else:
            whole = parts = [one for part in self.parts if (one := part.burnable()) is not None]
        return Geometry(self.type, parts) if whole else None

    def mapping(self) -> dict[str, Any]:
        """The geometry as GeoJSON has it."""
        if self.type == "GeometryCollection":
            return {"type": self.type, "geometries": [part.mapping() for part in self.parts]}
        return {"type": self.type, "coordinates": self._coordinates()}

    def _coordinates(self) -> list[Any]:
        if self.type.startswith("Multi"):
            return [part._coordinates() for part in self.parts]
        rings: list[Any] = [part.tolist() for part in self.parts]
        if self.type == "Point":
            point: list[Any] = rings[0][0]
            return point
        return rings if self.type == "Polygon" else rings[0]


def geometry(data: bytes) -> Geometry:
    """Read a geometry; heights and measures are left out.

    Raises:
        UserError: It is a curve or a surface, or the data are cut off.
    """
    try:
        return _read(data, 0)[0]
    except (struct.error, ValueError) as error:
        raise UserError(f"a damaged geometry ({error})") from error


def _read(data: bytes, at: int) -> tuple[Geometry, int]:
    order = "<" if data[at : at + 1] == b"\1" else ">"
    (code,) = struct.unpack_from(f"{order}I", data, at + 1)
    at += 5
    dimensions = 2 + bool(code & 0x80000000) + bool(code & 0x40000000)  # flags of extended WKB
    if code & 0x20000000:
        at += 4  # the number of a reference system
    code &= 0x0FFFFFFF
    dimensions += (0, 1, 1, 2)[code // 1000 % 4]  # ISO: 1000 with a height, 2000 with a measure, 3000 with both
    name = NAMES.get(code % 1000)
    if name is None:
        raise UserError(
            f"geometries of type {code % 1000}, a curve or a surface: convert them (ogr2ogr -nlt CONVERT_TO_LINEAR)"
        )
    parts: list[Any] = []
    if name == "Point":
        points, at = _points(data, at, 1, dimensions, order)
        return Geometry(name, [points]), at
    (count,) = struct.unpack_from(f"{order}I", data, at)
    at += 4
    if name == "LineString":
        points, at = _points(data, at, count, dimensions, order)
        return Geometry(name, [points]), at
    for _ in range(count):
        if name == "Polygon":
            (length,) = struct.unpack_from(f"{order}I", data, at)
            ring, at = _points(data, at + 4, length, dimensions, order)
            parts.append(ring)
        else:
            part, at = _read(data, at)
            parts.append(part)
    return Geometry(name, parts), at


def _points(data: bytes, at: int, count: int, dimensions: int, order: str) -> tuple[NDArray[np.float64], int]:
    values = np.frombuffer(data, f"{order}f8", count * dimensions, at).reshape(count, dimensions)
    return values[:, :2].astype(np.float64), at + values.nbytes
