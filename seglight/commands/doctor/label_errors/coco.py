"""Suspected regions as a file in COCO's format (cocodataset.org/#format-data), which labelling tools import."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from seglight.commands.doctor.label_errors.region import Region
from seglight.images.outlines import outlines
from seglight.system.atomic import atomic_write


def coco_content(regions: Sequence[Region], names: Sequence[str]) -> dict[str, Any]:
    """Images, categories and annotations: the outline and the suggested class of each region, best first.

    Category ids are class indices + 1, as in the files of `seglight predict`.

    Args:
        regions: The regions, ranked.
        names: Names of the classes.
    """
    sizes = {region.image: region.size for region in regions}
    ids = {image: number for number, image in enumerate(sizes, 1)}
    return {
        "images": [
            {"id": ids[image], "file_name": image, "height": height, "width": width}
            for image, (height, width) in sizes.items()
        ],
        "categories": [{"id": index, "name": name} for index, name in enumerate(names, 1)],
        "annotations": [
            {
                "id": rank,
                "image_id": ids[region.image],
                "category_id": region.suggested + 1,
                "segmentation": segmentation(region),
                "bbox": list(region.box),
                "area": region.pixels,
                "iscrowd": 0,
                "score": region.score,
                "attributes": {"rank": rank, "labelled": names[region.label], "confidence": region.confidence},
            }
            for rank, region in enumerate(regions, 1)
        ],
    }


def segmentation(region: Region) -> list[list[int]] | dict[str, Any]:
    """A polygon, or run lengths where tools would fill it otherwise: pycocotools fills holes and crossings."""
    outline = polygon(region)
    whole = np.zeros(region.size, np.uint8, order="F")
    region.box.of(whole)[...] = region.inside
    if np.array_equal(rle.decode(rle.merge(rle.frPyObjects([outline], *region.size))), whole):
        return [outline]
    runs = rle.encode(whole)
    return {"size": list(region.size), "counts": runs["counts"].decode("ascii")}


def polygon(region: Region) -> list[int]:
    """Corners x, y, x, y, ... of a region along the edges of its pixels; holes are joined to the outline by a cut."""
    (corners,) = outlines(region.inside.astype(np.int32))
    return [value + (region.box.y if place % 2 else region.box.x) for place, value in enumerate(corners)]


def write_coco(path: Path, regions: Sequence[Region], names: Sequence[str]) -> None:
    """Write the file.

    Args:
        path: The file.
        regions: The regions, ranked.
        names: Names of the classes.
    """
    atomic_write(path, json.dumps(coco_content(regions, names)) + "\n")
