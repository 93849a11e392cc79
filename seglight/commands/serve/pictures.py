"""Pictures for the page: examples, and images in formats that browsers do not decode. Imports no torch."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.commands.serve.prediction import Prediction
from seglight.data.datasets.shapes_scenes import draw_scene
from seglight.errors import UserError

EXAMPLES = 6
"""Number of examples. The page has a button for each of them."""

FIRST_SEED = 2_000_100
"""Seed of the first example: none that a net of the quick start is trained on."""

SIDE = 160
"""Pixels of a side of an example for a net that takes any size: that of the scenes which the quick start trains on."""

SMALLEST = 32
"""Smallest side of a scene; a smaller one is cut from it."""

LONGEST_SIDE = 65_500
"""Longest side of a JPEG that libjpeg writes."""

QUALITY = 92
"""JPEG quality of a picture."""


@lru_cache(maxsize=8 * EXAMPLES)
def example_png(number: int, size: tuple[int, int] | None) -> bytes:
    """A drawn scene as a PNG, a pure function of both arguments.

    Args:
        number: Number of the example, from 1.
        size: Height and width that the net takes; None: any.
    """
    height, width = size or (SIDE, SIDE)
    image, _ = draw_scene(FIRST_SEED + number, max(height, width, SMALLEST))
    return _encoded(image[:height, :width], ".png", [])


def picture_jpeg(prediction: Prediction) -> bytes:
    """The image as a JPEG, as large as it is.

    Raises:
        UserError: A side is longer than a JPEG can be.
    """
    picture = prediction.picture
    height, width = picture.shape[:2]
    if max(height, width) > LONGEST_SIDE:
        raise UserError(f"an image of {height} x {width} pixels (height x width) is too long for a JPEG: cut it")
    return _encoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _encoded(image: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()
