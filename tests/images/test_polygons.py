"""Polygons of label maps in vector files, burned in again by rasterio and read by GDAL's ogrinfo."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.predict.memory_budget import BYTES_PER_CORNER, FIXED_BYTES
from seglight.data.vectors import Vectors
from seglight.data.wkb import Geometry, geometry
from seglight.errors import UserError
from seglight.images import label_rows
from seglight.images.geo import Georeference, georeference
from seglight.images.label_rows import LabelsInMemory
from seglight.images.polygons import write_geojson, write_geopackage
from tests.support.samples import samples

rasterio = pytest.importorskip("rasterio")
pyogrio = pytest.importorskip("pyogrio")

MEASURED = """
import ctypes, sys
from pathlib import Path
import numpy as np, pyogrio.raw, rasterio.crs, scipy.sparse.csgraph
from seglight.images.geo import Georeference
from seglight.images.label_rows import LabelsInMemory
from seglight.images.polygons import write_geopackage

def held(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key + ":"))

labels = np.zeros((401, 401), np.uint8)
labels[1::2, 1::2] = 1
geo = Georeference(Path("a"), labels.shape, (10, 0, 0, 0, -10, 0), rasterio.crs.CRS.from_epsg(32632))
corners = []
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")
before = held("VmRSS")
write_geopackage(Path(sys.argv[1]), LabelsInMemory(labels), geo, ("a", "b"), corners.append)
print(held("VmHWM") - before, max(corners))
"""

NAMES = ("road", "field", "lake")

REAL = (
    "rasterio/RGB.byte.tif",
    "rasterio/cogeo.tif",
    "rasterio/float_raster_with_nodata.tif",
    "torchgeo/airphen-6band.tif",
    "torchgeo/naip-4band.tif",
)


def blocks(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Blocks of 16 pixels, with some pixels without data."""
    coarse = np.random.default_rng(0).integers(0, 3, (size[0] // 16 + 1, size[1] // 16 + 1), dtype=np.uint8)
    labels = coarse.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]
    labels[2:5, 3:9] = 255
    return labels


def passes(_: int) -> None:
    """Any number of corners fits."""


def grid(code: str, *transform: float, size: tuple[int, int]) -> Georeference:
    a, b, c, d, e, f = transform
    return Georeference(Path("scene.tif"), size, (a, b, c, d, e, f), rasterio.crs.CRS.from_user_input(code))


def read(path: Path) -> tuple[dict[str, Any], list[Geometry], dict[str, NDArray[Any]]]:
    meta, _, shapes, fields = pyogrio.raw.read(path)
    return meta, [geometry(shape) for shape in shapes], dict(zip(meta["fields"].tolist(), fields, strict=True))


def signed_area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@pytest.mark.parametrize("name", REAL)
def test_polygons_burned_in_are_the_label_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(label_rows, "BAND", 1 << 12)
    image = samples() / "geo" / name
    geo = georeference(image)
    labels = blocks(geo.size)
    whole = [slice(0, side) for side in geo.size]
    for write, path in ((write_geopackage, tmp_path / "a.gpkg"), (write_geojson, tmp_path / "a.geojson")):
        write(path, LabelsInMemory(labels), geo, NAMES, passes)
        again = Vectors(path, attribute="class_index", background=255).read(image, whole[0], whole[1])
        assert np.array_equal(again, labels), path
    meta, shapes, _ = read(tmp_path / "a.gpkg")
    assert rasterio.crs.CRS.from_user_input(meta["crs"]) == geo.crs
    burned = rasterio.features.rasterize(
        [(shape.mapping(), 1) for shape in shapes], geo.size, transform=rasterio.Affine(*geo.transform or ())
    )
    assert np.array_equal(burned == 1, labels != 255)
    if shutil.which("ogrinfo"):
        for path in (tmp_path / "a.gpkg", tmp_path / "a.geojson"):
            said = subprocess.run(["ogrinfo", "-so", "-al", str(path)], capture_output=True, text=True, check=True)
            assert f"Feature Count: {len(shapes)}" in said.stdout
            assert "area_m2: Real" in said.stdout


def test_an_object_across_all_bands_is_one_polygon_with_its_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_rows, "BAND", 80)
    labels = np.full((60, 40), 255, np.uint8)
    labels[5:55, 5:35] = 1
    labels[20:40, 10:30] = 2
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, -10, 5e6, size=(60, 40))
    write_geopackage(tmp_path / "a.gpkg", LabelsInMemory(labels), geo, NAMES, passes)
    _, shapes, fields = read(tmp_path / "a.gpkg")
    found = dict(zip(fields["class"].tolist(), shapes, strict=True))
    assert {name: len(shape.parts) for name, shape in found.items()} == {"field": 2, "lake": 1}
    assert dict(zip(fields["class"], fields["area_m2"], strict=True)) == {"field": 110000.0, "lake": 40000.0}
    assert dict(zip(fields["class"], fields["class_index"], strict=True)) == {"field": 1, "lake": 2}
    outer, hole = found["field"].parts
    assert (signed_area(outer), signed_area(hole)) == (50 * 30 * 100, -40000)
    assert [*outer.min(0), *outer.max(0)] == [400050, 4999450, 400350, 4999950]


def test_rings_turn_the_same_way_where_rows_go_up(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, 10, 5e6, size=(3, 3))
    write_geopackage(tmp_path / "a.gpkg", LabelsInMemory(labels), geo, NAMES, passes)
    _, shapes, fields = read(tmp_path / "a.gpkg")
    outer, hole = shapes[fields["class"].tolist().index("road")].parts
    assert (signed_area(outer), signed_area(hole)) == (900, -100)


def test_geojson_is_longitude_and_latitude(tmp_path: Path) -> None:
    geo = grid("EPSG:32632", 10, 0, 5e5, 0, -10, 5e6, size=(4, 4))
    write_geojson(tmp_path / "a.geojson", LabelsInMemory(np.ones((4, 4), np.uint8)), geo, NAMES, passes)
    content = json.loads((tmp_path / "a.geojson").read_text("utf-8"))
    assert "crs" not in content, "RFC 7946, section 4"
    (feature,) = content["features"]
    assert feature["properties"] == {"class": "field", "class_index": 1, "area_m2": 1600.0}
    corners = [(x, y) for y in (5e6, 5e6 - 40) for x in (5e5, 5e5 + 40)]
    degrees = np.transpose(rasterio.warp.transform("EPSG:32632", "EPSG:4326", *zip(*corners, strict=True)))
    (ring,) = feature["geometry"]["coordinates"]
    assert np.allclose(sorted(ring[:-1]), sorted(degrees.tolist()), rtol=0, atol=1e-8)
    assert signed_area(np.array(ring)) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.geojson"]


def test_areas_in_degrees_are_those_on_the_ellipsoid(tmp_path: Path) -> None:
    geo = grid("EPSG:4326", 0.025, 0, 12, 0, -0.005, 47.25, size=(50, 20))
    write_geopackage(tmp_path / "a.gpkg", LabelsInMemory(np.zeros((50, 20), np.uint8)), geo, NAMES, passes)
    _, _, fields = read(tmp_path / "a.gpkg")
    assert fields["area_m2"].tolist() == pytest.approx([1054455953.5200227], rel=1e-7)  # as in test_ground_area.py


def test_the_same_label_map_gives_the_same_bytes(tmp_path: Path) -> None:
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, -10, 5e6, size=(60, 40))
    for name in ("a.gpkg", "b.gpkg"):
        write_geopackage(tmp_path / name, LabelsInMemory(blocks((60, 40))), geo, NAMES, passes)
        time.sleep(0.01)  # the clock stands in milliseconds
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


@pytest.mark.parametrize("label", [255, 254, 3])  # of no data, of a model that ignores another one, of no class
def test_no_data_makes_no_polygon(tmp_path: Path, label: int) -> None:
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, -10, 5e6, size=(4, 4))
    for write, path in ((write_geopackage, tmp_path / "a.gpkg"), (write_geojson, tmp_path / "a.geojson")):
        write(path, LabelsInMemory(np.full((4, 4), label, np.uint8)), geo, NAMES, passes)
        assert pyogrio.read_info(path)["features"] == 0


def test_what_can_not_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    labels = LabelsInMemory(np.zeros((4, 4), np.uint8))
    nowhere = Georeference(Path("scene.tif"), (4, 4))
    with pytest.raises(UserError, match=r"--save polygons: scene\.tif has no georeference"):
        write_geopackage(tmp_path / "a.gpkg", labels, nowhere, NAMES, passes)
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, -10, 5e6, size=(4, 4))

    def check(corners: int) -> None:
        raise UserError(f"{corners} corners are too many")

    with pytest.raises(UserError, match="4 corners are too many"):
        write_geojson(tmp_path / "a.geojson", labels, geo, NAMES, check)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_a_process_takes_what_is_reckoned(tmp_path: Path) -> None:
    """A region with 40,000 holes, each a region; measured in a process without torch."""
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "a.out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, corners = map(int, done.stdout.split())
    reckoned = FIXED_BYTES + BYTES_PER_CORNER["polygons"] * corners
    assert reckoned / 3 < taken <= reckoned


def test_without_pyogrio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    geo = grid("EPSG:32632", 10, 0, 4e5, 0, -10, 5e6, size=(4, 4))
    with pytest.raises(UserError, match=r'--save polygons needs pyogrio: pip install "seglight\[geo\]"'):
        write_geopackage(tmp_path / "a.gpkg", LabelsInMemory(np.zeros((4, 4), np.uint8)), geo, NAMES, passes)
