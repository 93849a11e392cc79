"""Connected components of label maps. A pixel is connected to its eight neighbours."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def components(
    labels: NDArray[np.integer[Any]], classes: int | None = None
) -> tuple[NDArray[np.int32], list[tuple[int, list[int], int]]]:
    """The connected components of the classes in a label map (H, W).

    Args:
        labels: Label map (H, W).
        classes: Number of classes: larger labels, such as that of no data, are of no component. None: all are classes.

    Returns:
        The number of the component, from 1, of each pixel (H, W); and for each component its class, box (x, y, width,
        height) and area.
    """
    objects = np.zeros(labels.shape, np.int32)
    found: list[tuple[int, list[int], int]] = []
    for category in np.unique(labels).tolist():
        if classes is not None and category >= classes:
            break
        mask = (labels == category).view(np.uint8)
        _, parts, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        np.add(parts, len(found), out=objects, where=mask.view(bool))
        found += [(category, box[:4], box[4]) for box in boxes[1:].tolist()]
    return objects, found
