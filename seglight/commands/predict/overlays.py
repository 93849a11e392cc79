"""Images overlaid with their label maps, as JPEG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.inputs import Pixels
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.images.draw import overlay
from seglight.images.pixels import are_rgb
from seglight.images.stretch import Limits, limits_of, stretched
from seglight.images.types import Color, LabelMap, Windows
from seglight.system.atomic import atomic_path

BAND = 1 << 18
"""Number of pixels that are overlaid at a time."""

LONGEST_SIDE = 65_500
"""Longest side of a JPEG that libjpeg writes."""

SAMPLES = 64
"""Rows of an image that is read by windows by which the brightness of its picture is chosen."""

Rows: TypeAlias = Callable[[slice], NDArray[np.uint8]]
"""Function of some rows that returns them as they are shown, uint8 (h, W, 3)."""


def write_overlay(palette: Sequence[Color], bands: Bands, path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    """Write an image overlaid with its label map; pixels without data are shown as they are.

    Args:
        palette: RGB colours of the classes, by index.
        bands: What the image holds; other bands than 8-bit RGB are stretched.
        path: Path of the JPEG.
        pixels: The image.
        labels: Its label map (H, W).

    Raises:
        UserError: The image is larger than a JPEG can be.
    """
    assert pixels is not None
    height, width = labels.shape
    if max(height, width) > LONGEST_SIDE:
        raise UserError(f"--save overlay: {height} x {width} pixels are more than a JPEG can hold: cut the image")
    shown = _shown(pixels, bands)
    picture = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND // width)
    for rows in (slice(top, min(top + step, height)) for top in range(0, height, step)):
        band = shown(rows)
        drawn = overlay(band, labels[rows], palette)
        if bands.has_nodata:
            drawn = np.where((labels[rows] < len(palette))[..., None], drawn, band)
        picture[rows] = drawn[..., ::-1]
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def _shown(pixels: Pixels, bands: Bands) -> Rows:
    if isinstance(pixels, np.ndarray):
        image, whole = pixels, [] if are_rgb(bands) else limits_of(pixels, bands)
        return lambda rows: _picture(image[rows], bands, whole)
    windows, across = pixels, slice(0, pixels.shape[1])
    limits = [] if are_rgb(bands) else limits_of(_sample(windows), bands)
    return lambda rows: _picture(windows.read(rows, across), bands, limits)


def _picture(image: NDArray[Any], bands: Bands, limits: Sequence[Limits]) -> NDArray[np.uint8]:
    return image if are_rgb(bands) else stretched(image, bands, limits)


def _sample(windows: Windows) -> NDArray[Any]:
    """Rows of an image that is read by windows, evenly spaced, from which the limits of its bands are taken."""
    height, width = windows.shape[:2]
    tops = range(0, height, -(-height // SAMPLES))
    return np.concatenate([windows.read(slice(top, top + 1), slice(0, width)) for top in tops])
