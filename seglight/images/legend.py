"""Legends in pictures: a square of each colour with its name, wrapped to the width of the picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from seglight.images.types import Color

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font of pictures; Pillow's default one has only Latin letters.

    Args:
        size: Pixels of a line.
    """
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def legend(
    entries: Sequence[tuple[str, Color | None]],
    width: int,
    letters: ImageFont.FreeTypeFont,
    ink: Color = BLACK,
    paper: Color = WHITE,
) -> NDArray[np.uint8]:
    """Draw squares and names.

    Args:
        entries: Names and colours; an entry without a colour is text only.
        width: Pixels of the picture; a name that is wider is cut off.
        letters: Font of the names.
        ink: Colour of the names.
        paper: Colour of the background.

    Returns:
        Picture, uint8 (H, width, 3).
    """
    side, height = int(letters.size), int(letters.size * 1.6)
    places, x, y = [], 0, 0
    for name, color in entries:
        taken = int((1.4 * side if color is not None else 0) + letters.getlength(name)) + side
        if x and x + taken > width:
            x, y = 0, y + height
        places.append((x, y))
        x += taken
    picture = Image.new("RGB", (width, y + height), paper)
    draw = ImageDraw.Draw(picture)
    for (name, color), (x, y) in zip(entries, places, strict=True):
        top = y + (height - side) // 2
        if color is not None:
            draw.rectangle((x, top, x + side - 1, top + side - 1), color, "gray")
            x += int(1.4 * side)
        draw.text((x, y + height // 2), name, ink, letters, "lm")
    return np.asarray(picture)
