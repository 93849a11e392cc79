"""Write tiny data sets in the form of each labelling tool, with the label maps that a reader must find in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.fabricate import save_image

SIZE = (48, 64)
"""Height and width of the images."""

STEMS = tuple(f"street_{k:03d}" for k in range(6))

Maps = dict[str, NDArray[np.uint8]]
"""Label map by name of the image."""


@dataclass(frozen=True)
class Stored:
    """Reader of label maps that are given; other processes can receive it."""

    maps: Mapping[str, NDArray[np.uint8]]

    def __call__(self, image: Path) -> NDArray[np.uint8]:
        return self.maps[image.name]


def photographs(folder: Path, suffix: str = ".jpg", seed: int = 0) -> list[Path]:
    """Six images of noise."""
    rng = np.random.default_rng(seed)
    paths = [folder / f"{stem}{suffix}" for stem in STEMS]
    for path in paths:
        save_image(path, rng, SIZE)
    return paths
