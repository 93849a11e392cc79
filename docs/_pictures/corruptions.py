"""Draws a scene under each corruption: `python docs/_pictures/corruptions.py` writes a picture of the task page."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.data.datasets.shapes_scenes import draw_scene
from seglight.robustness import CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt

PATH = Path(__file__).parents[1] / "_static" / "pictures" / "corruptions.jpg"
SCENE = 18
SIZE = 144
SEVERITY = 3
COLUMNS = 5
CAPTION = 20
GAP = 6


def tile(pixels: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """An image above its caption, on white."""
    found = np.full((SIZE + CAPTION + GAP, SIZE + GAP, 3), 255, np.uint8)
    found[:SIZE, :SIZE] = pixels
    cv2.putText(found, caption, (2, SIZE + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    return found


def sheet() -> NDArray[np.uint8]:
    """The scene and its corruptions, row by row."""
    image, _ = draw_scene(SCENE, SIZE)
    kinds = (*CORRUPTIONS, *VALIDATION_CORRUPTIONS)
    tiles = [tile(image, "original"), *(tile(corrupt(image, kind, SEVERITY, 0, "scene"), kind) for kind in kinds)]
    rows = [np.concatenate(tiles[first : first + COLUMNS], 1) for first in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


if __name__ == "__main__":
    Image.fromarray(sheet()).save(PATH, quality=80)
