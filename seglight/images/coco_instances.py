"""Instances with scores in COCO's JSON format, which can overlap (cocodataset.org/#format-data)."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.images.runs import mask_runs
from seglight.system.atomic import atomic_path


class CocoInstances:
    """Images and their instances with run lengths, box, area and score; category ids are class indices + 1.

    The file has images and categories as well. Its `annotations` are what COCO's evaluation reads as results.

    Args:
        class_names: Names of the classes, by index.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = class_names
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(
        self,
        name: str,
        size: tuple[int, int],
        masks: Iterable[NDArray[np.bool_]],
        classes: Sequence[int],
        scores: Sequence[float],
    ) -> None:
        """Add an image.

        Args:
            name: Name of its file.
            size: Height and width.
            masks: Mask (H, W) of each instance, one at a time; those without pixels are left out.
            classes: Class of each instance.
            scores: Score of each instance.
        """
        image = len(self.images) + 1
        self.images.append({"id": image, "file_name": name, "height": size[0], "width": size[1]})
        for mask, label, score in zip(masks, classes, scores, strict=True):
            segmentation = mask_runs(mask)
            area = int(rle.area(segmentation))
            if not area:
                continue
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image,
                    "category_id": label + 1,
                    "segmentation": segmentation,
                    "bbox": [int(side) for side in rle.toBbox(segmentation)],
                    "area": area,
                    "iscrowd": 0,
                    "score": round(float(score), 6),
                }
            )

    def write(self, path: Path) -> None:
        """Write the JSON atomically."""
        categories = [{"id": index, "name": name} for index, name in enumerate(self.class_names, 1)]
        content = {"images": self.images, "categories": categories, "annotations": self.annotations}
        with atomic_path(path) as part:
            part.write_text(json.dumps(content), encoding="utf-8")
