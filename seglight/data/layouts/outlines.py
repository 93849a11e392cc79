"""Outlines of objects, painted as one label map by pycocotools, COCO's own library.

An outline has one of the forms of COCO's `segmentation`: polygons, [[x, y, x, y, ...], ...], or runs of pixels, which
are a list of lengths or COCO's compressed text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.data.classes import IGNORE_INDEX

Size = tuple[int, int]
"""Height and width."""


def paint(outlines: Sequence[tuple[int, Any]], size: Size) -> NDArray[np.uint8]:
    """Paint ignored regions first, then larger objects before smaller ones, equal ones in order: uint8 (H, W).

    Args:
        outlines: Pairs of class index or IGNORE_INDEX, and COCO's `segmentation`: polygons, or runs as a dict.
        size: Height and width.
    """
    regions = [(value, _runs(outline, size)) for value, outline in outlines]
    regions.sort(key=lambda region: (region[0] != IGNORE_INDEX, -int(rle.area(region[1]))))
    mask = np.zeros(size, np.uint8, order="F")  # the order of pycocotools
    for value, runs in regions:
        np.copyto(mask, value, where=rle.decode(runs).view(bool))
    return np.ascontiguousarray(mask)


def is_outline(outline: Any, size: Size) -> bool:
    """Whether an outline is valid: runs at the image's size, or polygons; pycocotools reads four numbers as a box."""
    if isinstance(outline, dict):
        counts = outline.get("counts")
        whole = sum(counts) == size[0] * size[1] if isinstance(counts, list) else counts is not None
        return whole and tuple(outline.get("size", ())) == size
    polygons = outline if isinstance(outline, list) else []
    return bool(polygons) and all(
        isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 for points in polygons
    )


def box_outline(left: float, top: float, width: float, height: float) -> list[list[float]]:
    """A box as COCO's `segmentation`."""
    right, bottom = left + width, top + height
    return [[left, top, right, top, right, bottom, left, bottom]]


def _runs(outline: Any, size: Size) -> Any:
    """COCO's compressed runs of an outline in any of its forms."""
    if isinstance(outline, list):
        return rle.merge(rle.frPyObjects(outline, *size))
    return rle.frPyObjects(outline, *size) if isinstance(outline["counts"], list) else outline
