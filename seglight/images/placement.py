"""Where the pixels of a raster lie on the ground."""

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seglight.images.geo import georeference
from seglight.images.image_header import blamed
from seglight.images.tiff_pages import BEGINNINGS

PIXEL_SCALE, TIE_POINTS, TRANSFORM, GEO_KEYS, GEO_TEXTS = 33550, 33922, 34264, 34735, 34737
RASTER_TYPE, POINT = 1025, 2
"""GeoTIFF key of what coordinates of pixels mean, and its value for their centres."""


@dataclass(frozen=True)
class Placement:
    """Position of a raster on the ground: x = left + column * width, y = top - row * height.

    Args:
        crs: Coordinate reference system, as text that is equal for equal systems.
        left: x of the left side of the first column.
        top: y of the upper side of the first row.
        width: Width of a pixel.
        height: Height of a pixel.
        upright: Whether rows go from west to east and columns from north to south; otherwise, the other values are
            those of the bounding box.
    """

    crs: str
    left: float
    top: float
    width: float
    height: float
    upright: bool = True


def placement(path: Path, size: tuple[int, ...]) -> Placement | None:
    """Position of a raster on the ground; None if its file has none.

    rasterio reads it where it is installed, otherwise the tags of GeoTIFF are read.

    Args:
        path: Path of the file.
        size: Height and width of the raster.

    Raises:
        UserError: The file is damaged.
    """
    if find_spec("rasterio") is None:
        return _of_tags(path, size)
    found = georeference(path)
    if found.transform is None:
        return None
    return _placed(found.crs.to_wkt() if found.crs else "", found.transform, size)


def displacement(place: Placement, other: Placement, size: tuple[int, ...]) -> float:
    """Largest distance between the same corner of two rasters of one size, in pixels of the first; inf: far away.

    Reference systems count as equal if one is not named, or rasterio is not installed to compare them.
    """
    x = [other.left, other.left + size[1] * other.width]
    y = [other.top, other.top - size[0] * other.height]
    if place.crs and other.crs and place.crs != other.crs and find_spec("rasterio") is not None:
        from rasterio.errors import RasterioError
        from rasterio.warp import transform

        try:
            x, y = transform(other.crs, place.crs, x, y)
        except RasterioError:
            return math.inf
    across = ((value - place.left) / place.width - column for value, column in zip(x, (0, size[1]), strict=True))
    down = ((place.top - value) / place.height - row for value, row in zip(y, (0, size[0]), strict=True))
    largest = max(map(abs, (*across, *down)))
    return largest if math.isfinite(largest) else math.inf


def _of_tags(path: Path, size: tuple[int, ...]) -> Placement | None:
    import tifffile  # here: most images are not TIFFs

    with path.open("rb") as stream:
        if stream.read(4) not in BEGINNINGS:
            return None
    with blamed(path), tifffile.TiffFile(path) as file:
        tags = {number: file.pages[0].aspage().tags.valueof(number) for number in (*_TAGS,)}
    keys = tuple(tags[GEO_KEYS] or ())
    if tags[TRANSFORM]:
        a, b, _, c, d, e, _, f = tags[TRANSFORM][:8]
    elif tags[PIXEL_SCALE] and tags[TIE_POINTS]:
        column, row, _, x, y, _ = tags[TIE_POINTS][:6]
        a, e = tags[PIXEL_SCALE][0], -tags[PIXEL_SCALE][1]
        b, d, c, f = 0.0, 0.0, x - column * a, y - row * e
    else:
        return None
    entries = [keys[start : start + 4] for start in range(4, len(keys), 4)]
    if any(entry[0] == RASTER_TYPE and entry[3] == POINT for entry in entries):
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return _placed(repr((keys, tags[GEO_TEXTS])), (a, b, c, d, e, f), size)


_TAGS = (PIXEL_SCALE, TIE_POINTS, TRANSFORM, GEO_KEYS, GEO_TEXTS)


def _placed(crs: str, transform: tuple[Any, ...], size: tuple[int, ...]) -> Placement:
    a, b, c, d, e, f = map(float, transform)
    if b == d == 0 and a > 0 > e:
        return Placement(crs, c, f, a, -e)
    corners = [(c + a * x + b * y, f + d * x + e * y) for x in (0, size[1]) for y in (0, size[0])]
    left, right = (pick(x for x, _ in corners) for pick in (min, max))
    bottom, top = (pick(y for _, y in corners) for pick in (min, max))
    side = math.sqrt(abs(a * e - b * d))
    return Placement(crs, left, top, (right - left) / size[1] or side, (top - bottom) / size[0] or side, upright=False)
