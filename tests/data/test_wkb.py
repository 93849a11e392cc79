"""Geometries in well-known binary, against what GDAL writes and bytes packed by hand."""

import struct
from pathlib import Path

import numpy as np
import pytest

from seglight.data.wkb import geometry
from seglight.errors import UserError

pyogrio = pytest.importorskip("pyogrio")

SHAPES = [
    {"type": "Point", "coordinates": [1.5, 2.0]},
    {"type": "LineString", "coordinates": [[0.0, 0.0], [3.0, 1.0]]},
    {
        "type": "Polygon",
        "coordinates": [
            [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 0.0]],
            [[2.0, 1.0], [3.0, 1.0], [3.0, 2.0], [2.0, 1.0]],
        ],
    },
    {"type": "MultiPoint", "coordinates": [[1.0, 2.0], [3.0, 4.0]]},
    {"type": "MultiLineString", "coordinates": [[[0.0, 0.0], [1.0, 1.0]], [[2.0, 2.0], [3.0, 3.0]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1.0, 2.0]}]},
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape["type"]))
def test_what_gdal_has_read_from_geojson_is_that_geojson(tmp_path: Path, shape: dict[str, object]) -> None:
    import json

    path = tmp_path / "one.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    _, _, shapes, _ = pyogrio.raw.read(path)
    assert geometry(shapes[0]).mapping() == shape


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("code", "values"),
    [(1001, (1, 2, 9)), (2001, (1, 2, 9)), (3001, (1, 2, 9, 8)), (0x80000001, (1, 2, 9)), (0xC0000001, (1, 2, 9, 8))],
)
def test_heights_and_measures_are_left_out(order: str, code: int, values: tuple[float, ...]) -> None:
    data = struct.pack(f"{order}BI{len(values)}d", order == "<", code, *values)
    assert geometry(data).mapping() == {"type": "Point", "coordinates": [1.0, 2.0]}


def test_the_number_of_a_reference_system_is_skipped() -> None:
    data = struct.pack("<BII2d", 1, 0x20000001, 4326, 1, 2)
    assert geometry(data).mapping()["coordinates"] == [1.0, 2.0]


def test_curves_are_refused() -> None:
    with pytest.raises(UserError, match="type 8, a curve or a surface: convert them"):
        geometry(struct.pack("<BII", 1, 8, 0))


def test_what_is_cut_off_is_refused() -> None:
    whole = struct.pack("<BIII4d", 1, 3, 1, 2, 0, 0, 1, 1)
    assert np.array_equal(geometry(whole).points()[0], [[0, 0], [1, 1]])
    for length in range(len(whole)):
        with pytest.raises(UserError, match="damaged"):
            geometry(whole[:length])
