"""Suspected regions as files of LabelMe (github.com/wkentaro/labelme), one for each image that has some.

A region is a shape of kind `mask`, which LabelMe 5.2 and later open: its polygons have no holes.
"""

import base64
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from seglight.commands.doctor.label_errors.region import Region
from seglight.interfaces import Labelled
from seglight.system.atomic import atomic_write

VERSION = "5.5.0"
"""Version of LabelMe whose form the files have."""


def labelme_content(regions: Sequence[Region], names: Sequence[str], image: str) -> dict[str, Any]:
    """The file of an image.

    Args:
        regions: Its regions, ranked.
        names: Names of the classes.
        image: Path of the image from the folder of the file, with slashes.
    """
    height, width = regions[0].size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(region, names) for region in regions],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape(region: Region, names: Sequence[str]) -> dict[str, Any]:
    x, y, width, height = region.box
    file = io.BytesIO()
    Image.fromarray(region.inside).save(file, format="PNG")
    return {
        "label": names[region.suggested],
        "points": [[x, y], [x + width - 1, y + height - 1]],
        "group_id": None,
        "description": f"labelled {names[region.label]}, score {region.score:.3f}",
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(file.getvalue()).decode("ascii"),
    }


def write_labelme(folder: Path, regions: Sequence[Region], names: Sequence[str], split: Labelled) -> int:
    """Write a file for each image that has regions.

    Args:
        folder: Folder of the files.
        regions: The regions, ranked.
        names: Names of the classes.
        split: The split that they are of.

    Returns:
        Number of images that are left out, because they are no files.
    """
    left_out = 0
    stems = set[str]()
    for index, own in _by_image(regions):
        image = next((path for path in split.sources(index) if path.is_file()), None)
        if image is None:
            left_out += 1
            continue
        stem = image.stem if image.stem not in stems else f"{image.stem}_{index}"
        stems.add(stem)
        path = Path(os.path.relpath(image.resolve(), folder.resolve())).as_posix()
        atomic_write(folder / f"{stem}.json", json.dumps(labelme_content(own, names, path), indent=1) + "\n")
    return left_out


def _by_image(regions: Sequence[Region]) -> Iterator[tuple[int, list[Region]]]:
    for index in dict.fromkeys(region.index for region in regions):
        yield index, [region for region in regions if region.index == index]
