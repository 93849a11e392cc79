"""Georeferences of real files and of written ones, against rasterio."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.errors import UserError
from seglight.images.geo import georeference
from tests.support.samples import readings, samples

rasterio = pytest.importorskip("rasterio")

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def written(path: Path, **profile: Any) -> Path:
    with rasterio.open(path, "w", driver="GTiff", height=6, width=4, count=1, dtype="uint8", **profile) as dataset:
        dataset.write(np.zeros((1, 6, 4), np.uint8))
    return path


def test_real_files_lie_where_rasterio_says() -> None:
    folder = samples() / "geo"
    for group in ("geo", "geo/multiband-made"):
        for name, reading in readings(samples())[group].items():
            path = samples() / group / name
            geo = georeference(path)
            with rasterio.open(path) as dataset:
                assert geo.size == dataset.shape
                assert (str(geo.crs) if geo.crs else None) == reading["crs"]
                assert geo.bounds == pytest.approx(sorted_bounds(dataset), rel=1e-12)
                assert geo.transform == tuple(dataset.transform)[:6]
                assert geo.is_on_grid == (reading["crs"] is not None)
    assert math.isnan(georeference(folder / "rasterio/float_nan.tif").nodata or 0)


def sorted_bounds(dataset: Any) -> tuple[float, ...]:
    rows, columns = (0, 0, dataset.height, dataset.height), (0, dataset.width, 0, dataset.width)
    x, y = rasterio.transform.xy(dataset.transform, rows, columns, offset="ul")
    return (min(x), min(y), max(x), max(y))


def test_a_rotated_grid_there_and_back() -> None:
    path = samples() / "geo/rasterio/rotated.tif"
    geo = georeference(path)
    points = np.array([[0, 0], [3.5, 7], [10, 15]], np.float64)
    with rasterio.open(path) as dataset:
        expected = np.transpose(rasterio.transform.xy(dataset.transform, points[:, 1], points[:, 0], offset="ul"))
    assert np.allclose(geo.coordinates(points), expected, rtol=1e-14)
    assert np.allclose(geo.pixels(geo.coordinates(points)), points, atol=1e-12)
    with pytest.raises(UserError, match=r"areas: .*rotated\.tif names no coordinate reference system: add it"):
        geo.check_grid("areas")


def test_a_file_without_a_place(tmp_path: Path) -> None:
    geo = georeference(written(tmp_path / "a.tif"))
    assert not geo.is_given
    with pytest.raises(UserError, match=r"areas: .*a\.tif has no georeference, .* pixels lie: add it \(gdal_edit"):
        geo.check_grid("areas")


def test_control_points_are_kept_apart(tmp_path: Path) -> None:
    corners = [(0, 0), (0, 4), (6, 0), (6, 4)]
    points = [rasterio.control.GroundControlPoint(row, col, 10 + col, 50 - row) for row, col in corners]
    geo = georeference(written(tmp_path / "a.tif", gcps=points, crs="EPSG:4326"))
    assert geo.is_given
    assert not geo.is_on_grid
    assert [(point.row, point.col) for point in geo.gcps] == corners
    assert geo.gcps_crs.to_epsg() == 4326
    with pytest.raises(UserError, match=r"is located by ground control points: warp it to a grid first \(gdalwarp\)"):
        geo.check_grid("areas")


def test_the_grid_of_a_page(tmp_path: Path) -> None:
    for page in range(2):
        profile = {"crs": "EPSG:32632", "transform": rasterio.Affine(10 + page, 0, 1e5, 0, -10, 5e6)}
        written(tmp_path / "a.tif", **profile, APPEND_SUBDATASET=page > 0)
    for page in range(2):
        transform = georeference(tmp_path / "a.tif", page).transform
        assert transform is not None
        assert transform[0] == 10 + page


def test_what_gdal_does_not_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no image", "utf-8")
    for path in (tmp_path / "a.tif", Path("GTIFF_DIR:1:a.tif")):
        with pytest.raises(UserError, match="not readable as a georeferenced image"):
            georeference(path)
