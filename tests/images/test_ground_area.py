"""Areas of pixels, against pyproj and rasterio."""

from pathlib import Path

import numpy as np
import pytest

from seglight.errors import UserError
from seglight.images.geo import Georeference, Transform
from seglight.images.ground_area import area_below, row_areas

crs = pytest.importorskip("rasterio.crs")

# pyproj 3.7.2, Geod.polygon_area_perimeter of parallels with 20,000 points each: west, east, south, north, and area
WGS84 = [
    ((12.0, 12.5, 47.0, 47.25), 1054455953.5200227),
    ((0.0, 1.0, -1.0, 0.0), 12308463893.976122),
    ((10.0, 11.0, 88.5, 89.5), 217724402.33471882),
]


def image(code: str, transform: Transform | None, size: tuple[int, int] = (50, 20)) -> Georeference:
    return Georeference(Path("scene.tif"), size, transform, crs.CRS.from_user_input(code) if code else None)


@pytest.mark.parametrize(("box", "area"), WGS84)
@pytest.mark.parametrize("up", [False, True])
def test_pixels_in_degrees_cover_what_pyproj_says(box: tuple[float, ...], area: float, up: bool) -> None:
    west, east, south, north = box
    a, e = (east - west) / 20, (north - south) / 50
    transform: Transform = (a, 0, west, 0, e, south) if up else (a, 0, west, 0, -e, north)
    areas = row_areas(image("EPSG:4326", transform), "areas")
    assert areas.shape == (50,)
    assert 20 * areas.sum() == pytest.approx(area, rel=1e-7)
    toward_the_pole = np.diff(areas) * (1 if up else -1) * (1 if south >= 0 else -1)
    assert (toward_the_pole < 0).all()


def test_other_ellipsoids_and_spheres() -> None:
    sides = np.radians([-33.1, -33.0])
    (bessel,) = np.diff(area_below(sides, 6377397.155, 299.1528128)) * np.radians(0.1)
    assert bessel == pytest.approx(103562920.56038642, rel=1e-8)
    (sphere,) = np.diff(area_below(np.radians([20.0, 30.0]), 6370997.0, 0)) * np.radians(1)
    assert sphere == pytest.approx(111916439277.03323, rel=1e-8)
    # a sphere of 6371008.7714 m
    on_the_sphere = row_areas(image("ESRI:104047", (0.05, 0, 5, 0, -0.2, 30), (50, 20)), "areas")
    assert 20 * on_the_sphere.sum() == pytest.approx(111916439277.03323 * (6371008.7714 / 6370997) ** 2, rel=1e-7)


def test_the_whole_earth() -> None:
    """WGS 84 covers 510,065,621.7 square kilometres (NIMA TR8350.2)."""
    areas = row_areas(image("EPSG:4326", (1, 0, -180, 0, -1, 90), (180, 360)), "areas")
    assert 360 * areas.sum() == pytest.approx(5.100656217e14, rel=1e-9)


def test_projected_pixels_are_as_large_as_on_the_map() -> None:
    assert np.array_equal(row_areas(image("EPSG:32632", (10, 0, 4e5, 0, -10, 5e6)), "areas"), np.full(50, 100.0))
    rotated: Transform = (17.320508075688775, 5, 100, 10, -8.660254037844387, 200)
    assert row_areas(image("EPSG:32632", rotated), "areas") == pytest.approx(np.full(50, 200.0))
    feet = row_areas(image("EPSG:2263", (1, 0, 9e5, 0, -1, 2e5)), "areas")  # New York, in US survey feet
    assert feet == pytest.approx(np.full(50, (1200 / 3937) ** 2), rel=1e-12)


@pytest.mark.parametrize(
    ("code", "transform", "message"),
    [
        ("EPSG:4326", (0.1, 0.01, 5, 0.01, -0.1, 30), "is a rotated grid in degrees: warp it to an upright one"),
        ("EPSG:4326", (0.1, 0, 5, 0, -9.0, 90), "latitudes beyond 90 degrees"),
        ("EPSG:4978", (10, 0, 5, 0, -10, 90), "areas are known in projected and geographic reference systems only"),
        ("", (10, 0, 5, 0, -10, 90), "names no coordinate reference system"),
        ("EPSG:32632", None, "has no georeference"),
    ],
)
def test_what_has_no_area_is_refused(code: str, transform: Transform | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        row_areas(image(code, transform), "areas")
