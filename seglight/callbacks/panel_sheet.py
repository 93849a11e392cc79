"""Sheet of panels below each other, with column headings and a legend."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from seglight.images.draw import IGNORED, RIGHT, WRONG, Palette
from seglight.images.legend import WHITE, font, legend
from seglight.images.types import Color
from seglight.system.escaping import tag

COLUMNS = ("image", "truth", "prediction", "error")
"""Headings of the columns of a panel."""

LEAST_WIDTH = 96
"""Pixels of the narrowest column: narrower panels are enlarged."""

GAP = 4
"""Pixels between two panels."""


def panel_sheet(panels: Sequence[NDArray[np.uint8]], class_names: Sequence[str], palette: Palette) -> NDArray[np.uint8]:
    """Arrange panels below each other, between headings and a legend.

    Args:
        panels: Pictures of `seglight.images.draw.panel`, uint8 (H, 4 W, 3), of any sizes.
        class_names: Names of the classes.
        palette: RGB colours of the classes.

    Returns:
        Sheet, uint8 (H', 4 W', 3). Narrow panels are enlarged by an integer factor. The legend has the error colours
        and the classes that occur in a truth or a prediction.
    """
    parts = [np.split(panel, len(COLUMNS), axis=1) for panel in panels]
    width = max(row[0].shape[1] for row in parts)
    factor = -(-LEAST_WIDTH // width)
    rows = [np.concatenate([_padded(part, width) for part in row], axis=1) for row in parts]
    rows = [
        np.pad(row.repeat(factor, 0).repeat(factor, 1), ((0, GAP), (0, 0), (0, 0)), constant_values=255) for row in rows
    ]
    width *= factor
    letters = font(max(12, width // 24))
    entries = _entries([part for row in parts for part in row[1:3]], class_names, palette)
    body: NDArray[np.uint8] = np.concatenate(
        [_headings(width, letters), *rows, legend(entries, len(COLUMNS) * width, letters)]
    )
    return body


def _padded(part: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255)


def _headings(width: int, letters: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (len(COLUMNS) * width, int(letters.size * 1.6)), WHITE)
    for column, heading in enumerate(COLUMNS):
        place = (int((column + 0.5) * width), int(letters.size * 0.8))
        ImageDraw.Draw(picture).text(place, heading, "black", letters, "mm")
    return np.asarray(picture)


def _entries(maps: list[NDArray[np.uint8]], class_names: Sequence[str], palette: Palette) -> list[tuple[str, Color]]:
    """Names and colours of the legend."""
    packed = [np.unique(part.astype(np.int64) @ (1 << 16, 1 << 8, 1)) for part in maps]
    shown = {(int(c) >> 16, int(c) >> 8 & 255, int(c) & 255) for c in np.unique(np.concatenate(packed))}
    colors = [tuple(map(int, color)) for color in palette]
    classes: list[tuple[str, Color]] = [
        (tag(name), (red, green, blue))
        for name, (red, green, blue) in zip(class_names, colors, strict=True)
        if (red, green, blue) in shown
    ]
    unlabelled = [("not labelled", WHITE)] if WHITE in shown and WHITE not in colors else []
    return [*classes, *unlabelled, ("wrong", WRONG), ("right", RIGHT), ("not scored", IGNORED)]
