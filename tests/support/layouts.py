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


def rectangles(k: int) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Left, top, right and bottom of a cat and of a dog that covers a part of it, in the image of this number."""
    return (4 + k, 6, 30 + k, 26), (20, 16 + k, 44, 40 + k)


def rectangle_maps(suffix: str = ".jpg") -> Maps:
    """Label maps of the rectangles: 0 background, 1 cat, 2 dog; a dog lies over a cat."""
    maps = {}
    for k, stem in enumerate(STEMS):
        mask = np.zeros(SIZE, np.uint8)
        for value, (left, top, right, bottom) in enumerate(rectangles(k), start=1):
            mask[top:bottom, left:right] = value
        maps[f"{stem}{suffix}"] = mask
    return maps


def corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


CVAT_META = (
    "<meta><task><labels><label><name>cat</name><color>#c82828</color><type>any</type><attributes></attributes></label>"
    "<label><name>dog</name><color>#28c828</color><type>any</type><attributes></attributes></label></labels></task></meta>"
)


def cvat_xml(images: str, meta: str = CVAT_META) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{images}</annotations>\n'


def cvat_image(name: str, shapes: str, subset: str = "") -> str:
    of_subset = f' subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}" width="{SIZE[1]}" height="{SIZE[0]}"{of_subset}>{shapes}</image>'


def cvat_polygon(label: str, points: list[tuple[float, float]], order: int = 0) -> str:
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon label="{label}" source="manual" occluded="0" points="{text}" z_order="{order}"></polygon>'


def cvat_images(root: Path) -> Maps:
    """CVAT for images 1.1: a polygon, and a mask in front of it that comes first in the file."""
    images = ""
    for k, path in enumerate(photographs(root / "images")):
        cat, (left, top, right, bottom) = rectangles(k)
        area = (right - left) * (bottom - top)
        mask = (
            f'<mask label="dog" source="manual" occluded="0" rle="0, {area}" left="{left}" top="{top}" '
            f'width="{right - left}" height="{bottom - top}" z_order="1"></mask>'
        )
        images += cvat_image(path.name, mask + cvat_polygon("cat", corners(*cat)))
    (root / "annotations.xml").write_text(cvat_xml(images))
    return rectangle_maps()
