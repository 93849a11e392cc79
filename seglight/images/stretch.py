"""Images of any bands and type as pictures: the shown bands, stretched between percentiles. Imports no torch."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.images.bands import Bands
from seglight.images.draw import IGNORED, shown

PERCENTILES = (2, 98)
"""Percentiles of a band's values that become black and white."""

MOST_VALUES = 1_000_000
"""Number of values that percentiles are computed from: of larger images, evenly spaced rows and columns."""


Limits: TypeAlias = tuple[float, float] | None
"""Values of a band that become black and white; None: it has no data."""


def stretched(image: NDArray[Any], bands: Bands, limits: Sequence[Limits] | None = None) -> NDArray[np.uint8]:
    """The shown bands of an image as uint8 (H, W, 3), each stretched between percentiles of its values that are data.

    8-bit RGB is returned as it is. Values that are no data are black, pixels without data in any shown band are grey,
    and a constant band is of medium brightness.

    Args:
        image: Image (H, W, bands).
        bands: Description of the bands.
        limits: What `limits_of` found in the whole image, where this is a part of it; None: those of this image.
    """
    if bands.is_rgb8 or image.shape[2] != len(bands.names):
        return shown(image)
    chosen = np.ascontiguousarray(image[..., list(bands.shown)])
    invalid = bands.invalid(chosen)
    limits = _limits(chosen, invalid) if limits is None else limits
    planes = [_stretched(chosen[..., index], ~invalid[..., index], between) for index, between in enumerate(limits)]
    picture = np.stack(planes * 3 if len(planes) == 1 else planes, axis=2)
    picture[invalid.all(2)] = IGNORED
    return picture


def limits_of(image: NDArray[Any], bands: Bands) -> list[Limits]:
    """Values of each shown band of an image (H, W, bands) that become black and white."""
    chosen = np.ascontiguousarray(image[..., list(bands.shown)])
    return _limits(chosen, bands.invalid(chosen))


def without_data(image: NDArray[Any], bands: Bands) -> NDArray[np.bool_] | None:
    """Pixels (H, W) of an image (H, W, bands) that have data in no band; None: every value of such bands is data."""
    fits = bands.has_nodata and image.shape[2] == len(bands.names)
    return bands.without_data(image) if fits else None


def _limits(chosen: NDArray[Any], invalid: NDArray[np.bool_]) -> list[Limits]:
    return [_between(chosen[..., index], ~invalid[..., index]) for index in range(chosen.shape[2])]


def _between(plane: NDArray[Any], valid: NDArray[np.bool_]) -> Limits:
    """Percentiles of the values of a band (H, W) that are data."""
    step = max(1, int(np.sqrt(plane.size / MOST_VALUES)))
    values = plane[::step, ::step][valid[::step, ::step]]
    if not values.size:  # none in these rows and columns
        values = plane[valid]
    if not values.size:
        return None
    low, high = np.percentile(values.astype(np.float64), PERCENTILES)
    if not high > low:  # constant but for a few values
        return float(values.min()), float(values.max())
    return float(low), float(high)


def _stretched(plane: NDArray[Any], valid: NDArray[np.bool_], limits: Limits) -> NDArray[np.uint8]:
    """A band (H, W) as uint8; what is no data is 0."""
    if limits is None:
        return np.zeros(plane.shape, np.uint8)
    low, high = limits
    numbers = np.where(valid, plane, plane.dtype.type(0)).astype(np.float64)
    grey = (numbers - low) * (255 / (high - low)) if high > low else np.full(plane.shape, 128.0)
    return np.where(valid, grey.round().clip(0, 255), 0).astype(np.uint8)
