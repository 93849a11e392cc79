"""Connected components of label maps as objects in COCO's JSON format (cocodataset.org/#format-data)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.images.components import components
from seglight.images.outlines import outlines
from seglight.images.types import LabelMap
from seglight.system.atomic import atomic_path


class CocoObjects:
    """Images and their objects with outline, box and area. A pixel is connected to its eight neighbours.

    Category ids are class indices + 1, for tools that take 0 for the background.

    Args:
        class_names: Names of the classes, by index.
        form: Form of the outlines, which are exact in both: "runs", COCO's compressed run lengths; or "polygons" along
            the edges of pixels, in which holes are joined to the outer outline by a cut.
    """

    def __init__(self, class_names: Sequence[str], form: Literal["runs", "polygons"]) -> None:
        self.class_names = class_names
        self.form = form
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, name: str, labels: LabelMap) -> None:
        """Add an image by its label map (H, W)."""
        image = len(self.images) + 1
        height, width = labels.shape
        self.images.append({"id": image, "file_name": name, "height": height, "width": width})
        objects, found = components(labels, len(self.class_names))
        segments = runs(objects) if self.form == "runs" else ([polygon] for polygon in outlines(objects))
        for (category, box, area), segmentation in zip(found, segments, strict=True):
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image,
                    "category_id": category + 1,
                    "segmentation": segmentation,
                    "bbox": box,
                    "area": area,
                    "iscrowd": 0,
                }
            )

    def text(self) -> Iterator[str]:
        """Yield the JSON of images, categories and annotations in parts: the whole takes as much memory as they do."""
        categories = [{"id": index, "name": name} for index, name in enumerate(self.class_names, 1)]
        yield f'{{"images": {json.dumps(self.images)}, "categories": {json.dumps(categories)}, "annotations": ['
        for index, annotation in enumerate(self.annotations):
            yield f"{', ' if index else ''}{json.dumps(annotation)}"
        yield "]}"

    def write(self, path: Path) -> None:
        """Write the JSON atomically."""
        with atomic_path(path) as part, part.open("w", encoding="utf-8") as file:
            file.writelines(self.text())


def runs(objects: NDArray[np.int32]) -> Iterator[dict[str, Any]]:
    """COCO's compressed run lengths, column by column, of the objects 1 to N in a map (H, W) of numbers; 0 is none."""
    flat = objects.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    stops = np.append(starts[1:], flat.size)
    owners = flat[starts]
    order = owners.argsort(kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
        if not owners[own[0]]:  # no object
            continue
        # gaps and runs end in turn at these; the differences are their lengths
        bounds = np.concatenate([[0], np.stack([starts[own], stops[own]], axis=1).ravel(), [flat.size]])
        packed = rle.frPyObjects({"counts": np.diff(bounds).tolist(), "size": list(objects.shape)}, *objects.shape)
        yield {"size": list(objects.shape), "counts": packed["counts"].decode("ascii")}
