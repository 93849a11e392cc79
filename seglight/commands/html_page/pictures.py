"""Pictures that are embedded in a page."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.html_page.element import Child, Element, element

WIDEST = 1200
"""Pixels of the longer side of an embedded picture: larger ones are scaled down."""

QUALITY = 88
"""JPEG quality of pictures that are larger as PNG."""


def picture(pixels: NDArray[np.uint8] | Path, alt: str, caption: Child = None) -> Element:
    """A figure with an embedded picture.

    Args:
        pixels: uint8 (H, W, 3), or path of a picture.
        alt: What the picture shows, for readers who do not see it.
        caption: Text below the picture.
    """
    address, width, height = embedded(pixels)
    image = element("img", src=address, alt=alt, width=str(width), height=str(height))
    return element("figure", image, element("figcaption", caption) if caption is not None else None)


def embedded(pixels: NDArray[np.uint8] | Path) -> tuple[str, int, int]:
    """Data URI, width and height of a picture: PNG, or JPEG if that is smaller."""
    if isinstance(pixels, Path):
        with Image.open(pixels) as file:
            image = file.convert("RGB")
    else:
        image = Image.fromarray(pixels)
    image.thumbnail((WIDEST, WIDEST), Image.Resampling.BOX)
    png, jpeg = BytesIO(), BytesIO()
    image.save(png, "PNG", optimize=True)
    image.save(jpeg, "JPEG", quality=QUALITY, subsampling=0)
    kind, data = min((("png", png.getvalue()), ("jpeg", jpeg.getvalue())), key=lambda one: len(one[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", image.width, image.height
