"""Label maps from shapes in the order in which a tool shows them: later ones cover earlier ones."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.data.classes import Classes, voc_color
from seglight.errors import UserError
from seglight.images.image_header import MOST_PIXELS
from seglight.images.types import Color, LabelMap
from seglight.ops.label_types import MOST_CLASSES, ignored_value, label_type

BACKGROUND = "background"
"""Name of class 0, the pixels without a shape; a label of this name is the same class (`is_background`)."""

Size = tuple[int, int]
"""Height and width."""

CORNERS = 720
"""Number of corners of an ellipse: its outline differs by less than a pixel up to a radius of 10^5 pixels."""

IGNORED = -1
"""Class index that stands for ignored pixels until they are painted."""

FARTHEST = 10**6
"""Largest coordinate of a polygon in pixels: its corners may lie outside the image."""

NO_AREA = "cover no area"
"""Reason for leaving out lines and points."""


class Patch(NamedTuple):
    """Pixels of a shape.

    Args:
        value: Class index or `IGNORED`.
        pixels: Pixels of the shape: bool (h, w).
        left: Column of the first pixel in the image.
        top: Row of the first pixel in the image.
    """

    value: int
    pixels: NDArray[np.bool_]
    left: int = 0
    top: int = 0


def paint(size: Size, patches: Iterable[Patch], num_classes: int) -> LabelMap:
    """Paint patches in their order over class 0.

    Args:
        size: Height and width of the image. What lies outside of it is cut off.
        patches: Pixels of shapes.
        num_classes: Number of classes.

    Returns:
        (H, W) of the type of `label_type`.
    """
    if not 0 < size[0] * size[1] <= MOST_PIXELS:
        raise ValueError(f"an image of {size[0]}x{size[1]} pixels")
    mask: LabelMap = np.zeros(size, label_type(num_classes))
    for value, pixels, left, top in patches:
        above, before = max(0, -top), max(0, -left)
        inside = pixels[above : max(0, size[0] - top), before : max(0, size[1] - left)]
        rows, columns = inside.shape
        target = mask[top + above : top + above + rows, left + before : left + before + columns]
        np.copyto(target, ignored_value(mask.dtype) if value == IGNORED else value, where=inside)
    return mask


def polygon(points: Sequence[float], size: Size) -> NDArray[np.bool_]:
    """Pixels of a polygon by pycocotools: bool (H, W).

    Args:
        points: Corners x, y, x, y, ...; at least three, because pycocotools reads two as a box.
        size: Height and width of the image.
    """
    # pycocotools follows an outline in steps of a fifth of a pixel, however long it is
    if len(points) < 6 or len(points) % 2 or not all(abs(value) <= FARTHEST for value in points):
        raise ValueError(f"a polygon of the numbers {list(points)[:8]}")
    pixels: NDArray[Any] = rle.decode(rle.merge(rle.frPyObjects([list(points)], *size)))
    return pixels.view(bool)


def box_corners(
    left: float, top: float, width: float, height: float, degrees: float = 0.0, pivot: tuple[float, float] | None = None
) -> list[float]:
    """Corners of a box as a polygon.

    Args:
        left: Left edge in pixels.
        top: Upper edge.
        width: Width.
        height: Height.
        degrees: Clockwise rotation.
        pivot: Point that the box is rotated about; None: its centre.
    """
    x, y = pivot or (left + width / 2, top + height / 2)
    corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    if not degrees:
        return [value for corner in corners for value in corner]
    return _rotated([(right - x, down - y) for right, down in corners], x, y, degrees)


def ellipse_corners(x: float, y: float, across: float, down: float, degrees: float = 0.0) -> list[float]:
    """Corners of an ellipse as a polygon.

    Args:
        x: Centre.
        y: Centre.
        across: Horizontal radius before it is rotated.
        down: Vertical radius.
        degrees: Clockwise rotation.
    """
    angles = [2 * math.pi * k / CORNERS for k in range(CORNERS)]
    return _rotated([(across * math.cos(angle), down * math.sin(angle)) for angle in angles], x, y, degrees)


def _rotated(offsets: Iterable[tuple[float, float]], x: float, y: float, degrees: float) -> list[float]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [value for dx, dy in offsets for value in (x + dx * cos - dy * sin, y + dx * sin + dy * cos)]


def class_table(labels: Mapping[str, Color | None], evidence: Path) -> tuple[Classes, dict[str, int]]:
    """Class table of a tool's labels, after class 0, the background; labels without a colour have that of VOC.

    Args:
        labels: Names and colours of the labels, in the order of the classes.
        evidence: File that they are from.

    Returns:
        The table, and the index of each label.

    Raises:
        UserError: There are no labels, or too many.
    """
    own = [label for label in labels if not is_background(label)]
    if not own or len(own) >= MOST_CLASSES:
        raise UserError(
            f"{evidence}: {len(own)} classes beside the background, where 1 to {MOST_CLASSES - 1} are possible: "
            "check that it is the export of a labelled project"
        )
    first: Color = next((color for label, color in labels.items() if is_background(label) and color), (0, 0, 0))
    palette = [labels[label] or voc_color(index) for index, label in enumerate(own, start=1)]
    index_of = {label: 0 if is_background(label) else 1 + own.index(label) for label in labels}
    return Classes((BACKGROUND, *own), (first, *palette)), index_of


def is_background(label: str) -> bool:
    """Whether a label is one of the names of class 0, such as `Background` or `_background_`."""
    return label.strip("_ ").casefold() == BACKGROUND


def background_remarks(index_of: Mapping[str, int]) -> list[str]:
    """One sentence on each label that is class 0 under another name.

    Args:
        index_of: Class index of each label.
    """
    names = [label for label, index in index_of.items() if index == 0 and label != BACKGROUND]
    return [f"The label {name!r} is class 0, that of the pixels without an object." for name in names]


def color_of(text: str | None) -> Color | None:
    """Colour of a text such as "#fa3253" or "#f35"; None for other texts."""
    digits = (text or "").strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    if len(digits) < 6:
        return None
    try:
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16))
    except ValueError:
        return None


def left_out_remarks(left_out: Mapping[tuple[str, str], int]) -> list[str]:
    """One sentence on the shapes that are left out for each reason.

    Args:
        left_out: Number of shapes by kind, such as "polylines", and reason, such as `NO_AREA`.
    """
    reasons: dict[str, Counter[str]] = {}
    for (kind, reason), number in sorted(left_out.items()):
        reasons.setdefault(reason, Counter())[kind] += number
    return [
        f"Left out because they {reason}: {', '.join(f'{kind} ({number})' for kind, number in kinds.items())}."
        for reason, kinds in reasons.items()
    ]
