"""Masks as vectors, against rasterio on the whole image and the readings of real files.

Covers: data.vector_source.
"""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.data.classes import Classes
from seglight.data.labels import LabelCodec
from seglight.data.scenes.labels import VectorFiles
from seglight.data.vector_source import Memory
from seglight.data.vectors import VectorMemory, Vectors
from seglight.errors import UserError
from tests.support.samples import readings, samples

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyogrio")

SIDE = slice(0, 40)


def scene(path: Path, crs: str | None = "EPSG:32632", origin: tuple[float, float] = (465000.0, 5247000.0)) -> Path:
    transform = rasterio.Affine(10, 0, origin[0], 0, -10, origin[1])
    with rasterio.open(
        path, "w", driver="GTiff", height=40, width=40, count=1, dtype="uint8", crs=crs, transform=transform
    ) as dataset:
        dataset.write(np.zeros((1, 40, 40), np.uint8))
    return path


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    """A rectangle between columns and rows of `scene`."""
    x, y = [465000 + 10 * value for value in (left, right)], [5247000 - 10 * value for value in (top, bottom)]
    ring = [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]], [x[0], y[0]]]
    return {"type": "Polygon", "coordinates": [ring]}


def geojson(
    path: Path, features: Sequence[tuple[dict[str, Any] | None, dict[str, Any]]], crs: int | None = 32632
) -> Path:
    content: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": values, "geometry": shape} for shape, values in features],
    }
    if crs is not None:
        content["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs}"}}
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("name", ["733871_3725004", "733961_3724734", "734006_3724734"])
@pytest.mark.parametrize(("all_touched", "reading"), [(False, "building_pixels_rasterio"), (True, "all_touched")])
def test_buildings_are_those_of_the_readings(name: str, all_touched: bool, reading: str) -> None:
    folder = samples() / "geo/buildings-geojson"
    expected = readings(samples())["geo/buildings-geojson"][name]
    vectors = Vectors(folder / f"{name}.geojson", all_touched=all_touched)
    height, width = expected["size"]
    image = folder / f"{name}.tif"
    whole = vectors.read(image, slice(0, height), slice(0, width))
    assert int(whole.sum()) == expected[reading]
    for top in range(0, height, 17):
        for left in range(0, width, 23):
            rows, columns = slice(top, min(top + 17, height)), slice(left, min(left + 23, width))
            assert np.array_equal(vectors.read(image, rows, columns), whole[rows, columns])


def test_a_geopackage_is_read_by_attribute() -> None:
    folder = samples() / "geo"
    vectors = Vectors(folder / "buildings-gpkg-made/733871_3725004.gpkg", {"yes": 7}, "building", "buildings", 2)
    mask = vectors.read(folder / "buildings-geojson/733871_3725004.tif", slice(0, 90), slice(0, 90))
    assert np.unique(mask, return_counts=True)[1].tolist() == [90 * 90 - 471, 471]
    assert np.unique(mask).tolist() == [2, 7]


def test_later_features_win_and_the_rest_is_background(tmp_path: Path) -> None:
    shapes = geojson(
        tmp_path / "a.geojson",
        [(box(0, 0, 20, 20), {"kind": "field"}), (box(10, 10, 30, 30), {"kind": "lake"}), (None, {"kind": "?"})],
    )
    vectors = Vectors(shapes, {"field": 0, "lake": 1}, "kind", background=255)
    expected = np.full((40, 40), 255)
    expected[:20, :20] = 0
    expected[10:30, 10:30] = 1
    assert np.array_equal(vectors.read(scene(tmp_path / "a.tif"), SIDE, SIDE), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(vectors)).read(tmp_path / "a.tif", SIDE, SIDE), expected)


def test_values_may_be_class_indices(tmp_path: Path) -> None:
    shapes = geojson(tmp_path / "a.geojson", [(box(0, 0, 4, 4), {"id": 3}), (box(8, 8, 9, 9), {"id": 5.0})])
    mask = Vectors(shapes, attribute="id").read(scene(tmp_path / "a.tif"), SIDE, SIDE)
    assert [int((mask == index).sum()) for index in (0, 3, 5)] == [40 * 40 - 17, 16, 1]
    other = scene(tmp_path / "b.tif", origin=(465080.0, 5246920.0))
    assert Vectors(shapes, attribute="id").read(other, SIDE, SIDE)[0, 0] == 5, "each image has its own grid"


def test_degrees_are_brought_to_the_image(tmp_path: Path) -> None:
    from rasterio.warp import transform_geom

    shapes = [box(3, 5, 17, 30), box(20, 2, 39, 9)]
    degrees = [transform_geom("EPSG:32632", "EPSG:4326", shape) for shape in shapes]
    path = geojson(tmp_path / "a.geojson", [(shape, {}) for shape in degrees], crs=None)  # RFC 7946: degrees
    mask = Vectors(path).read(scene(tmp_path / "a.tif"), SIDE, SIDE)
    expected = rasterio.features.rasterize(shapes, (40, 40), transform=rasterio.open(tmp_path / "a.tif").transform)
    assert np.array_equal(mask, expected)
    assert mask.sum() == 14 * 25 + 19 * 7


def test_a_shapefile_with_a_hole(tmp_path: Path) -> None:
    import pyogrio

    shape = box(0, 0, 20, 20)
    shape["coordinates"].append(box(5, 5, 10, 10)["coordinates"][0][::-1])
    collection = geojson(tmp_path / "a.geojson", [(shape, {"id": 1})])
    meta, _, shapes, fields = pyogrio.raw.read(collection)
    pyogrio.raw.write(
        tmp_path / "a.shp", shapes, fields, list(meta["fields"]), crs=meta["crs"], geometry_type="Polygon"
    )
    mask = Vectors(tmp_path / "a.shp").read(scene(tmp_path / "a.tif"), SIDE, SIDE)
    assert mask.sum() == 400 - 25
    assert mask[7, 7] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attribute": "sort"}, "no attribute sort: there are kind"),
        ({"attribute": "kind"}, "kind is lake, no class index: give `classes`"),
        ({"attribute": "kind", "classes": {"field": 0}}, "feature 0: kind is lake, and the classes are field"),
        ({"layer": "b"}, "name one of its layers: a"),
    ],
)
def test_what_the_file_does_not_say_is_one_line(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    shapes = geojson(tmp_path / "a.geojson", [(box(0, 0, 20, 20), {"kind": "lake"})])
    with pytest.raises(UserError, match=message):
        Vectors(shapes, **arguments).read(scene(tmp_path / "a.tif"), SIDE, SIDE)


def test_arguments_are_checked() -> None:
    with pytest.raises(UserError, match="2 classes: name the attribute"):
        Vectors("a.geojson", {"a": 0, "b": 1})
    with pytest.raises(UserError, match="class 256: masks hold 0 to 255"):
        Vectors("a.geojson", background=256)
    many = Classes(tuple(map(str, range(256))), ((0, 0, 0),) * 256)
    with pytest.raises(UserError, match="256 classes, where vectors are burned in for 255 at most: use rasters"):
        VectorFiles("a.geojson").of(Path("a.geojson"), many, LabelCodec({}))
    two = Classes(("ground", "field"), ((0, 0, 0),) * 2)
    with pytest.raises(UserError, match=r"data.vectors.background 2: give the index of one of the 2 classes, or 255"):
        VectorFiles("a.geojson", background=2).of(Path("a.geojson"), two, LabelCodec({}))
    assert VectorFiles("a.geojson", background=255).of(Path("a.geojson"), two, LabelCodec({})).background == 255


def test_empty_parts_of_a_geometry_leave_the_others(tmp_path: Path) -> None:
    square = box(2, 2, 12, 12)
    ring = square["coordinates"][0]
    shapes = [
        {"type": "MultiPolygon", "coordinates": [[], [ring], [ring[:1] * 3]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": []}, square]},
        {"type": "Polygon", "coordinates": [ring, []]},
    ]
    for number, shape in enumerate(shapes):
        one = geojson(tmp_path / f"{number}.geojson", [(shape, {}), ({"type": "Polygon", "coordinates": []}, {})])
        mask = Vectors(one).read(scene(tmp_path / "a.tif"), SIDE, SIDE)
        assert (mask.sum(), mask[2:12, 2:12].sum()) == (100, 100)


def test_coordinates_that_are_no_degrees_need_a_reference_system(tmp_path: Path) -> None:
    metres = geojson(tmp_path / "a.geojson", [(box(0, 0, 20, 20), {})], crs=None)
    with pytest.raises(UserError, match=r"a.geojson: coordinates up to 5247000 are no degrees.* \(ogr2ogr -a_srs"):
        Vectors(metres).check(scene(tmp_path / "a.tif"))


def test_digits_that_are_no_number_are_no_class(tmp_path: Path) -> None:
    shapes = geojson(tmp_path / "a.geojson", [(box(0, 0, 20, 20), {"kind": "\u00b2"})])
    with pytest.raises(UserError, match="kind is \u00b2, no class index"):
        Vectors(shapes, attribute="kind").read(scene(tmp_path / "a.tif"), SIDE, SIDE)


def test_files_without_a_place_are_refused(tmp_path: Path) -> None:
    shapes = geojson(tmp_path / "a.geojson", [(box(0, 0, 20, 20), {})])
    with pytest.raises(UserError, match=r"b\.tif names no coordinate reference system: add it \(gdal_edit"):
        Vectors(shapes).read(scene(tmp_path / "b.tif", crs=None), SIDE, SIDE)
    (tmp_path / "c.geojson").write_text("{", "utf-8")
    with pytest.raises(UserError, match=r"c\.geojson: not readable as vectors \(.*\): export it again$"):
        Vectors(tmp_path / "c.geojson").read(scene(tmp_path / "c.tif"), SIDE, SIDE)
    with pytest.raises(UserError, match="missing"):
        Vectors(tmp_path / "missing.gpkg").read(tmp_path / "c.tif", SIDE, SIDE)


def some_boxes(number: int) -> list[dict[str, Any]]:
    """Rectangles in and around `scene`, which overlap."""
    sides = np.sort(np.random.default_rng(0).integers(-9, 49, (number, 2, 2)), axis=1)
    return [box(low[0], low[1], high[0] + 1, high[1] + 1) for low, high in sides.tolist()]


@pytest.mark.parametrize("crs", [32632, 4326])
@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "shp"])
@pytest.mark.parametrize("kept", [1, 1 << 20])
def test_parts_of_an_image_hold_the_features_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crs: int, suffix: str, kept: int
) -> None:
    import pyogrio
    from rasterio.warp import transform_geom

    shapes = some_boxes(30)
    placed = [transform_geom("EPSG:32632", f"EPSG:{crs}", shape) for shape in shapes]
    collection = geojson(tmp_path / "a.geojson", [(shape, {"id": k}) for k, shape in enumerate(placed)], crs)
    path = tmp_path / f"a.{suffix}"
    if path != collection:
        meta, _, binary, fields = pyogrio.raw.read(collection)
        pyogrio.raw.write(path, binary, fields, list(meta["fields"]), crs=meta["crs"], geometry_type="Polygon")
    monkeypatch.setattr("seglight.data.vectors.CELL", 16)
    vectors = Vectors(path, attribute="id", background=255, memory=VectorMemory(Memory(kept), Memory(kept)))
    image = scene(tmp_path / "a.tif")
    with rasterio.open(image) as file:
        pairs = [(shape, k) for k, shape in enumerate(shapes)]
        expected = rasterio.features.rasterize(pairs, (40, 40), fill=255, transform=file.transform, dtype="uint8")
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows, columns = (slice(*sorted(rng.choice(41, 2, replace=False).tolist())) for _ in range(2))
        assert np.array_equal(vectors.read(image, rows, columns), expected[rows, columns])
    assert all(len(memory.kept) == 1 or memory.bytes <= kept for memory in vectors.memory)


@pytest.mark.parametrize(("suffix", "reads"), [("geojson", 1), ("gpkg", 3)])
def test_one_file_of_many_scenes_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, reads: int
) -> None:
    """A GeoPackage once for each scene, but each time only what lies there."""
    import pyogrio

    collection = geojson(tmp_path / "a.geojson", [(shape, {"id": k}) for k, shape in enumerate(some_boxes(30))])
    meta, _, binary, fields = pyogrio.raw.read(collection)
    pyogrio.raw.write(
        tmp_path / "a.gpkg", binary, fields, list(meta["fields"]), crs=meta["crs"], geometry_type="Polygon"
    )
    numbers, read = [], pyogrio.raw.read

    def counted(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        numbers.append(len(found[2]))
        return found

    monkeypatch.setattr(pyogrio.raw, "read", counted)
    vectors = Vectors(tmp_path / f"a.{suffix}", attribute="id")
    images = [scene(tmp_path / f"{k}.tif", origin=(465000 + 450 * k, 5247000 - 450 * k)) for k in range(3)]
    for image in images * 2:
        vectors.check(image)
        vectors.read(image, slice(0, 20), slice(0, 20))
        vectors.read(image, slice(20, 40), slice(20, 40))
    assert len(numbers) == reads
    assert numbers[0] <= 30
    assert all(number < 10 for number in numbers[1:])
