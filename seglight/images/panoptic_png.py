"""Segments as files of COCO's panoptic format: a PNG whose colours are ids, and JSON (cocodataset.org/#format-data).

The id of a pixel is R + 256 G + 256^2 B; 0 is no segment.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.errors import UserError
from seglight.images.decode import opened
from seglight.system.atomic import atomic_path

MOST = 1 << 24
"""Number of ids that a colour can be."""


def read_ids(path: Path) -> NDArray[np.int32]:
    """Ids (H, W) of a panoptic PNG.

    Raises:
        UserError: The file is damaged, not in colour, of 16 bits, or transparent somewhere.
    """
    with opened(path) as image:
        if image.mode not in ("RGB", "RGBA"):
            raise UserError(
                f"{path}: an image of mode {image.mode}, where the colours of a panoptic PNG (R + 256 G + 65536 B) "
                "should be: convert the labels, for instance by cityscapesscripts' createPanopticImgs"
            )
        if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
            raise UserError(f"{path}: transparent pixels, of which no id is known: save it without transparency")
        pixels = np.asarray(image.convert("RGB").convert("RGBX"))
    ids: NDArray[np.int32] = pixels.view("<i4")[..., 0] & 0xFFFFFF  # R, G, B, X as one number, lowest byte first
    return ids


def write_ids(path: Path, ids: NDArray[np.int32]) -> None:
    """Write ids (H, W), 0 to 2^24 - 1, as a panoptic PNG, atomically."""
    assert ids.min(initial=0) >= 0
    assert ids.max(initial=0) < MOST
    octets = np.ascontiguousarray(ids, "<i4").view(np.uint8).reshape(*ids.shape, 4)
    with atomic_path(path) as part:
        Image.fromarray(np.ascontiguousarray(octets[..., :3])).save(part, format="PNG")


class PanopticFile:
    """Images and their segments for the JSON beside the PNGs; category ids are class indices + 1, as in `CocoObjects`.

    Args:
        class_names: Names of the classes, by index.
        things: Classes that have instances.
    """

    def __init__(self, class_names: Sequence[str], things: Sequence[int]) -> None:
        self.class_names = class_names
        self.things = frozenset(things)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(
        self, name: str, png: str, ids: NDArray[np.int32], classes: Sequence[int], scores: Sequence[float] | None = None
    ) -> None:
        """Add an image.

        Args:
            name: Name of the image's file.
            png: Name of its panoptic PNG.
            ids: (H, W) k + 1 where segment k is, 0 where there is none; segments without pixels are left out.
            classes: Class of each segment.
            scores: Score of each segment, or None.
        """
        image = len(self.images) + 1
        height, width = ids.shape
        self.images.append({"id": image, "file_name": name, "height": height, "width": width})
        segments = []
        for number, (box, area) in boxes_of(ids, len(classes)).items():
            segment = {"id": number, "category_id": classes[number - 1] + 1, "area": area, "bbox": box, "iscrowd": 0}
            if scores is not None:
                segment["score"] = round(float(scores[number - 1]), 6)
            segments.append(segment)
        self.annotations.append({"image_id": image, "file_name": png, "segments_info": segments})

    def write(self, path: Path) -> None:
        """Write the JSON atomically."""
        categories = [
            {"id": index + 1, "name": name, "isthing": int(index in self.things)}
            for index, name in enumerate(self.class_names)
        ]
        content = {"images": self.images, "categories": categories, "annotations": self.annotations}
        with atomic_path(path) as part:
            part.write_text(json.dumps(content), encoding="utf-8")


def boxes_of(ids: NDArray[np.int32], number: int) -> dict[int, tuple[list[int], int]]:
    """Box (x, y, width, height) and area of each of the segments 1 to `number` of a map (H, W) that has pixels."""
    areas = np.bincount(ids.ravel(), minlength=number + 1)
    found = {}
    for k in np.flatnonzero(areas[1:]).tolist():
        box = cv2.boundingRect((ids == k + 1).view(np.uint8))
        found[k + 1] = ([int(side) for side in box], int(areas[k + 1]))
    return found
