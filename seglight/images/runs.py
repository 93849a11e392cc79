"""Masks of instances as COCO's run lengths, column by column (cocodataset.org/#format-data)."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.images.coco import runs

Runs = dict[str, Any]
"""`size` [H, W], and `counts`: compressed run lengths, as text or as bytes."""


def mask_runs(mask: NDArray[np.bool_]) -> Runs:
    """Run lengths of a mask (H, W)."""
    packed = rle.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": packed["counts"].decode("ascii")}


def segment_runs(segments: NDArray[np.int32], number: int) -> list[Runs]:
    """Run lengths of each of the segments 1 to `number` of a map (H, W), 0 for none; some may have no pixel."""
    there = np.unique(segments)
    found = dict(zip(there[there > 0].tolist(), runs(segments), strict=True))
    empty: Runs = mask_runs(np.zeros(segments.shape, bool)) if len(found) < number else {}
    return [found.get(k, empty) for k in range(1, number + 1)]


def boundary_runs(mask: Runs, width: int) -> Runs:
    """The pixels of a mask at most `width` rows and columns away from one outside of it, or of the image."""
    pixels = cv2.copyMakeBorder(rle.decode(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(pixels, np.ones((3, 3), np.uint8), iterations=width)
    return mask_runs((pixels - inner)[1:-1, 1:-1].astype(bool))
