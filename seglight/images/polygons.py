"""Regions of a label map as polygons in vector files, written by pyogrio (GDAL) as they are finished."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line
from seglight.images.geo import Georeference, library
from seglight.images.ground_area import row_areas
from seglight.images.label_rows import LabelRows
from seglight.images.regions import Outlines, outlined
from seglight.system.atomic import atomic_path

GEOJSON = "--save geojson"

LAYER = "regions"
"""Name of the layer."""

FIELDS = ("class", "class_index", "area_m2")
"""Attributes of a polygon."""

DIGITS = 8
"""Decimals of coordinates in degrees: a millimetre."""

DATE = "1970-01-01T00:00:00.000Z"
"""Date of change that GeoPackages state, so that the same label map gives the same bytes."""

FEATURES = 1 << 12
"""Number of polygons that are copied at a time."""


def write_geopackage(
    path: Path, labels: LabelRows, geo: Georeference, class_names: Sequence[str], check: Callable[[int], None]
) -> None:
    """Write the regions of a label map as polygons in the reference system of the image, atomically.

    Args:
        path: Path of the file.
        labels: The label map.
        geo: Georeference of the image.
        class_names: Names of the classes, by index.
        check: Function that is called with the number of corners in memory, and raises an error if they are too many.

    Raises:
        UserError: pyogrio is not installed, the pixels have no coordinates, or GDAL does not write the file.
    """
    with atomic_path(path) as part:
        _write_geopackage(part, labels, geo, class_names, check, "--save polygons")


def write_geojson(
    path: Path, labels: LabelRows, geo: Georeference, class_names: Sequence[str], check: Callable[[int], None]
) -> None:
    """Write the regions of a label map as GeoJSON (RFC 7946: longitude and latitude in WGS 84), atomically.

    Arguments and errors are those of `write_geopackage`.
    """
    with atomic_path(path) as part:
        package = part.with_name(f"{part.name}.package.gpkg")  # removed with the other parts of a killed process
        try:
            _write_geopackage(package, labels, geo, class_names, check, GEOJSON)
            _convert(package, part, geo)
        finally:
            package.unlink(missing_ok=True)


def geojson_of(path: Path, package: Path, geo: Georeference) -> None:
    """Write a GeoJSON as `write_geojson`, atomically, from what `write_geopackage` has written.

    Args:
        path: Path of the file.
        package: Path of the GeoPackage.
        geo: Georeference of the image.

    Raises:
        UserError: GDAL does not write the file.
    """
    with atomic_path(path) as part:
        _convert(package, part, geo)


def _convert(package: Path, part: Path, geo: Georeference) -> None:
    from pyogrio.raw import open_arrow, write_arrow

    with _gdal(GEOJSON, geo), open_arrow(package, layer=LAYER, batch_size=FEATURES) as (meta, stream):
        write_arrow(
            stream,
            part,
            layer=LAYER,
            driver="GeoJSON",
            geometry_name=meta["geometry_name"] or "wkb_geometry",
            geometry_type="Polygon",
            crs=geo.crs.to_wkt(),
            layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": DIGITS},
        )


def _write_geopackage(
    path: Path,
    labels: LabelRows,
    geo: Georeference,
    class_names: Sequence[str],
    check: Callable[[int], None],
    what: str,
) -> None:
    library("pyogrio", what)
    if labels.shape != geo.size:
        raise UserError(f"{what}: {geo.path} is {geo.size[0]} x {geo.size[1]} pixels, and its label map {labels.shape}")
    areas = row_areas(geo, what)
    path.unlink(missing_ok=True)
    _append(path, np.empty(0, object), _attributes(np.empty(0, np.int64), np.empty(0), class_names), geo, what, False)
    for found in outlined(labels.bands(), labels.shape[1], len(class_names), areas, check):
        table = _attributes(found.labels, found.areas, class_names)
        _append(path, well_known_binary(found, geo), table, geo, what, True)


def _append(
    path: Path, shapes: NDArray[Any], table: list[NDArray[Any]], geo: Georeference, what: str, append: bool
) -> None:
    from pyogrio.raw import write

    with _gdal(what, geo):
        write(
            path,
            shapes,
            table,
            list(FIELDS),
            layer=LAYER,
            driver="GPKG",
            geometry_type="Polygon",
            crs=geo.crs.to_wkt(),
            append=append,
        )


def _attributes(labels: NDArray[Any], areas: NDArray[np.float64], class_names: Sequence[str]) -> list[NDArray[Any]]:
    return [np.array(class_names, object)[labels], labels.astype(np.int32), areas]


def well_known_binary(found: Outlines, geo: Georeference) -> NDArray[Any]:
    """The regions as polygons (N,) in well-known binary, with the coordinates of an image.

    Outer outlines go counterclockwise on the map, and those of holes clockwise.
    """
    a, b, _, d, e, _ = geo.transform or (1, 0, 0, 0, 1, 0)
    ends = np.cumsum(found.lengths)
    corners = found.corners
    if a * e - b * d > 0:  # rows go up on the map
        rings = np.repeat(np.arange(len(ends)), found.lengths)
        corners = corners[(ends - found.lengths + ends - 1)[rings] - np.arange(len(corners))]
    data = geo.coordinates(corners).astype("<f8").tobytes()
    shapes = np.empty(len(found.rings), object)
    place = ring = 0
    stops = (16 * ends).tolist()
    for index, count in enumerate(found.rings.tolist()):
        pieces = [struct.pack("<BII", 1, 3, count)]
        for stop in stops[ring : ring + count]:
            pieces += (struct.pack("<I", (stop - place) // 16 + 1), data[place:stop], data[place : place + 16])
            place = stop
        shapes[index] = b"".join(pieces)
        ring += count
    return shapes


@contextmanager
def _gdal(what: str, geo: Georeference) -> Iterator[None]:
    """Turn errors of GDAL within the block into one line, and let its clock stand."""
    from pyogrio import errors, get_gdal_config_option, set_gdal_config_options

    former = get_gdal_config_option("OGR_CURRENT_DATE")
    set_gdal_config_options({"OGR_CURRENT_DATE": DATE})
    known = (errors.CRSError, errors.DataLayerError, errors.DataSourceError, errors.FeatureError, errors.GeometryError)
    try:
        yield
    except known as error:
        raise UserError(f"{what}: polygons of {geo.path} are not written ({one_line(error)})") from error
    finally:
        set_gdal_config_options({"OGR_CURRENT_DATE": former})
