"""Objects of label maps as CVAT takes them: masks and polygons of connected components.

CVAT's programming interface and its serverless functions write a mask in two ways; both hold the pixels of a box and
then the box, x1, y1, x2, y2, whose last row and column belong to it. They are described by the code of CVAT 2.80:
`cvat_sdk/masks.py` (run lengths) and `cvat/apps/lambda_manager/views.py` (bitmaps).
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.components import components
from seglight.images.outlines import outlines
from seglight.images.types import LabelMap

MOST_BYTES = 1 << 27
"""Largest number of bytes of the bitmaps of an image; CVAT takes a multiple of it to read them."""

Box = tuple[int, int, int, int]
"""First column and row of a box, and its last ones."""


def run_lengths(labels: LabelMap, classes: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """The masks of the objects in a label map as the `points` of CVAT's shapes of type "mask".

    Args:
        labels: Label map (H, W).
        classes: Number of classes, see `components`.

    Yields:
        Class index and points of each object: numbers of pixels outside and inside of it, in turns and row by row, and
        then its box.
    """
    objects, found = components(labels, classes)
    for number, (category, (x, y, width, height), _) in enumerate(found, 1):
        inside = (objects[y : y + height, x : x + width] == number).ravel()
        changes = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        runs = np.diff(changes, prepend=0, append=inside.size).tolist()
        if inside[0]:  # none outside before it
            runs.insert(0, 0)
        yield category, [*runs, *_box(x, y, width, height)]


def polygons(labels: LabelMap, classes: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """The outlines of the objects in a label map as the `points` of CVAT's shapes of type "polygon".

    Args:
        labels: Label map (H, W).
        classes: Number of classes, see `components`.

    Yields:
        Class index and corners x, y, x, y, ... of each object along the edges of its pixels; holes are joined to the
        outer outline by a cut.
    """
    objects, found = components(labels, classes)
    for (category, _, _), polygon in zip(found, outlines(objects), strict=True):
        yield category, polygon[:-2]  # CVAT closes them


def detections(labels: LabelMap, class_names: Sequence[str]) -> bytes:
    """Answer of a serverless function of type "detector" for an image, JSON.

    Args:
        labels: Label map (H, W).
        class_names: Names of the classes, by index.

    Returns:
        List of the objects, each with its `label`, a `mask` (0 or 1 for each pixel of its box, row by row, and then the
        box), and `points`, the polygon that CVAT uses if it is to convert masks.

    Raises:
        UserError: The bitmaps would be too long.
    """
    objects, found = components(labels, len(class_names))
    size = sum(2 * width * height for _, (_, _, width, height), _ in found)
    if size > MOST_BYTES:
        raise UserError(
            f"an image of {labels.shape[0]}x{labels.shape[1]} (height x width) with {len(found)} objects, whose boxes "
            f"take {size / 1e6:.0f} MB of bitmaps for CVAT: annotate the task by cvat-cli, which sends run lengths"
        )
    parts = []
    for number, ((category, (x, y, width, height), _), polygon) in enumerate(
        zip(found, outlines(objects), strict=True), 1
    ):
        about = {"confidence": None, "label": class_names[category], "type": "mask", "points": polygon[:-2]}
        inside = objects[y : y + height, x : x + width] == number
        box = json.dumps(_box(x, y, width, height))
        parts.append(f'{json.dumps(about)[:-1]}, "mask": [{_digits(inside)}{box[1:]}}}')
    return f"[{', '.join(parts)}]".encode()


def _box(x: int, y: int, width: int, height: int) -> Box:
    return x, y, x + width - 1, y + height - 1


def _digits(inside: NDArray[np.bool_]) -> str:
    """The elements of a mask as "1,0,0,"."""
    text = np.full((inside.size, 2), ord(","), np.uint8)
    text[:, 0] = inside.ravel()
    text[:, 0] += ord("0")
    return text.tobytes().decode("ascii")
