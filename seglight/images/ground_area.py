"""Area on the ground of the pixels of a georeferenced image, in square metres."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.geo import Georeference

ELLIPSOID = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",([0-9.eE+-]+),([0-9.eE+-]+)')
"""Semi-major axis in metres and inverse flattening in well-known text; the inverse flattening of a sphere is 0."""

SERIES = 1e-9
"""Squared eccentricity below which an ellipsoid is a sphere."""


def row_areas(geo: Georeference, what: str) -> NDArray[np.float64]:
    """Area (H,) of a pixel in each row, in square metres.

    In a projected reference system, it is that of the pixel on the map, which is not that on the ground where the
    projection does not preserve areas. In degrees, it is that on the ellipsoid, between meridians and parallels.

    Args:
        geo: Georeference of the image.
        what: What the areas are needed for, as the beginning of messages.

    Raises:
        UserError: The pixels have no coordinates, or those of a rotated grid in degrees.
    """
    geo.check_grid(what)
    assert geo.transform is not None
    a, b, _, d, e, f = geo.transform
    height = geo.size[0]
    if geo.crs.is_projected:
        metres: float = geo.crs.linear_units_factor[1]
        return np.full(height, abs(a * e - b * d) * metres**2)
    if not geo.crs.is_geographic:
        raise UserError(f"{what}: {geo.path}: areas are known in projected and geographic reference systems only")
    if b or d:
        raise UserError(f"{what}: {geo.path} is a rotated grid in degrees: warp it to an upright one (gdalwarp)")
    radians: float = geo.crs.units_factor[1]
    latitudes: NDArray[np.float64] = (f + e * np.arange(height + 1, dtype=np.float64)) * radians
    if np.abs(latitudes).max() > math.pi / 2 + 1e-9:
        raise UserError(f"{what}: {geo.path}: latitudes beyond 90 degrees")
    found = ELLIPSOID.search(geo.crs.to_wkt())
    if found is None:
        raise UserError(f"{what}: {geo.path}: its reference system names no ellipsoid")
    return np.abs(np.diff(area_below(latitudes, float(found[1]), float(found[2])))) * abs(a) * radians


def area_below(latitudes: NDArray[np.float64], axis: float, inverse_flattening: float) -> NDArray[np.float64]:
    """Area between the equator and parallels, for each radian of longitude (Snyder, Map Projections, equation 3-12).

    Args:
        latitudes: Geodetic latitudes in radians.
        axis: Semi-major axis.
        inverse_flattening: Inverse flattening, or 0 for a sphere.
    """
    sine = np.sin(latitudes)
    flattening = 1 / inverse_flattening if inverse_flattening else 0.0
    squared = flattening * (2 - flattening)
    if squared < SERIES:
        return np.asarray(axis**2 * sine)
    eccentricity = math.sqrt(squared)
    integral = sine / (1 - squared * sine**2) + np.arctanh(eccentricity * sine) / eccentricity
    return np.asarray(axis**2 * (1 - squared) / 2 * integral)
