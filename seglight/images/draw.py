"""Drawings of label maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.images.types import Color, LabelMap

Palette = Sequence[Color]

RIGHT, WRONG, IGNORED = (235, 235, 235), (214, 39, 40), (120, 120, 120)
"""Colours of an error map."""


def shown(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (H, W, bands) as uint8 (H, W, 3): if it does not have three bands, their mean as grey.

    It is not known which of four bands are red, green and blue, so no three of them are chosen.
    """
    if image.shape[2] == 3:
        return image
    grey: NDArray[np.uint8] = image.mean(2, keepdims=True).round().clip(0, 255).astype(np.uint8)
    return np.repeat(grey, 3, 2)


def colorize(mask: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Colour a label map (H, W) as uint8 (H, W, 3); values beyond the palette are white."""
    colors: NDArray[np.uint8] = _table(palette, mask.dtype)[mask]
    return colors


def error_map(mask: NDArray[Any], pred: NDArray[Any], ignore_index: int) -> NDArray[np.uint8]:
    """Show where a prediction (H, W) is right, wrong or ignored, as uint8 (H, W, 3)."""
    table = np.array([RIGHT, WRONG, IGNORED], np.uint8)
    return table[np.where(mask == ignore_index, 2, pred != mask)]


def panel(
    image: NDArray[np.uint8],
    mask: NDArray[Any],
    pred: NDArray[Any],
    palette: Palette,
    ignore_index: int,
    missing: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Image, truth, prediction and error side by side: uint8 (H, 4 W, 3).

    Pixels without data, which are `missing` (H, W), are grey in truth, prediction and error.
    """
    parts = [image, colorize(mask, palette), colorize(pred, palette), error_map(mask, pred, ignore_index)]
    if missing is not None:
        for part in parts[1:]:
            part[missing] = IGNORED
    return np.concatenate(parts, axis=1)


def overlay(image: NDArray[np.uint8], mask: NDArray[Any], palette: Palette, opacity: float = 0.5) -> NDArray[np.uint8]:
    """An image (H, W, 3) overlaid with its label map (H, W)."""
    return np.round(image * (1 - opacity) + colorize(mask, palette) * opacity).astype(np.uint8)


def palette_image(mask: LabelMap, palette: Palette) -> Image.Image:
    """A label map (H, W) as an image whose values are the class indices.

    Args:
        mask: uint8 for an image in mode P, whose palette shows the classes; uint16 for one in mode I;16 without one.
        palette: RGB colours of the classes, by index.
    """
    image = Image.fromarray(mask)
    if mask.dtype == np.uint8:
        image.putpalette(_table(palette, mask.dtype).tobytes())
    return image


def _table(palette: Palette, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Colour of each value of a type of label maps; white beyond the palette."""
    table = np.full((256 if dtype == np.uint8 else 2**16, 3), 255, np.uint8)
    table[: len(palette)] = palette
    return table
