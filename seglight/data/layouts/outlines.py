"""Outlines of objects, painted as one label map by pycocotools, COCO's own library.

An outline has one of the forms of COCO's `segmentation`: polygons, [[x, y, x, y, ...], ...], or runs of pixels, which
are a list of lengths or COCO's compressed text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle

from seglight.data.layouts.painting import FARTHEST, IGNORED
from seglight.images.types import LabelMap
from seglight.ops.label_types import ignored_value, label_type

LONGEST_CODE = 7
"""Characters of the longest run: 7 of 5 bits hold 32 and a sign."""

Size = tuple[int, int]
"""Height and width."""


def paint(outlines: Sequence[tuple[int, Any]], size: Size, num_classes: int) -> LabelMap:
    """Paint ignored regions first, then larger objects before smaller ones, equal ones in order.

    Args:
        outlines: Pairs of class index or `IGNORED`, and COCO's `segmentation`: polygons, or runs as a dict.
        size: Height and width.
        num_classes: Number of classes.

    Returns:
        (H, W) of the type of `label_type`.
    """
    regions = [(value, _runs(outline, size)) for value, outline in outlines]
    regions.sort(key=lambda region: (region[0] != IGNORED, -int(rle.area(region[1]))))
    mask = np.zeros(size, label_type(num_classes), order="F")  # the order of pycocotools
    for value, runs in regions:
        np.copyto(mask, ignored_value(mask.dtype) if value == IGNORED else value, where=rle.decode(runs).view(bool))
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
    """COCO's compressed runs of an outline in any of its forms.

    Raises:
        ValueError: pycocotools would crash on it, or leave pixels without a value.
    """
    if isinstance(outline, list):
        # pycocotools walks along each edge, and crashes on very long ones
        if not all(-FARTHEST <= value <= FARTHEST for points in outline for value in points):
            raise ValueError(f"a corner is not within {FARTHEST} pixels of the image")
        return rle.merge(rle.frPyObjects(outline, *size))
    runs = rle.frPyObjects(outline, *size) if isinstance(outline["counts"], list) else outline
    total = pixels_of(runs["counts"])
    if total != size[0] * size[1]:
        raise ValueError(f"runs of {total} pixels, where the image has {size[0] * size[1]}")
    return runs


def pixels_of(counts: str | bytes) -> int:
    """Number of pixels, covered or not, of COCO's compressed runs.

    A run is a number of 5 bits a character, lowest first, with a bit for "more follow" and a sign in the last one; from
    the fourth run on, it is the difference from the run before the last.
    """
    data = counts.encode() if isinstance(counts, str) else counts
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((codes & 32) == 0)
    if not len(ends) or ends[-1] != len(codes) - 1:
        raise ValueError("runs that are cut off")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > LONGEST_CODE:
        raise ValueError("runs that are no numbers")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 31) << shifts, starts)
    runs -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return int(runs.sum())
