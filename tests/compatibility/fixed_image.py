"""The image that every kept net labels, and the pixels of a label map that count."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
IMAGE = HERE / "image.png"
UNSURE = 255
"""Stands in a kept label map where the two most probable classes are too close for every machine to agree."""


def draw() -> NDArray[np.uint8]:
    """uint8 (48, 64, 3): slopes, a disc, stripes and a chequered square, by integer arithmetic alone."""
    y, x = np.mgrid[:48, :64]
    image = np.stack([4 * x, 5 * y, 252 - 2 * (x + y)], 2)
    image[(x - 18) ** 2 + (y - 16) ** 2 < 120] = 230, 60, 40
    image[(y > 30) & (x < 34) & (x % 8 < 4)] = 20, 180, 90
    image[(y > 22) & (x > 40) & ((x // 3 + y // 3) % 2 == 0)] = 240, 240, 60
    return image.astype(np.uint8)


def read(bands: int = 3) -> Any:
    """The image as it is kept; a fourth band is the mean of the others."""
    image = np.asarray(Image.open(IMAGE))
    return np.dstack([image, image.mean(2).astype(np.uint8)]) if bands == 4 else image


def image_folder(root: Path) -> None:
    """Two classes of two images each in `train` and in `val`, to pre-train on."""
    for split in ("train", "val"):
        for name, turns in (("upright", 0), ("turned", 2)):
            (root / split / name).mkdir(parents=True)
            for k in range(2):
                Image.fromarray(np.rot90(draw(), turns)[k:]).save(root / split / name / f"{k}.png")
