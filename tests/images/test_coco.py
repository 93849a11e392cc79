"""Objects in COCO's JSON: pycocotools reads the same pixels.

Covers: images.components.
"""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from scipy import ndimage

from seglight.images.coco import CocoObjects

NAMES = ("sky", "road", "tree", "car")
RING = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 2, 1], [1, 1, 1, 1]], np.uint8)
CORNERS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)


def label_maps() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, 61, 47)), (0, 3, 3)).argmax(0).astype(np.uint8)
    return {
        "ring.png": RING,
        "corners.png": CORNERS,
        "one pixel.png": np.full((1, 1), 3, np.uint8),
        "noise.png": rng.integers(0, 4, (23, 31), dtype=np.uint8),
        "smooth.png": smooth,
        "row.png": rng.integers(0, 2, (1, 40), dtype=np.uint8),
    }


@pytest.fixture(params=["runs", "polygons"])
def read(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> COCO:
    objects = CocoObjects(NAMES, request.param)
    for name, labels in label_maps().items():
        objects.add(name, labels)
    objects.write(tmp_path / "coco.json")
    return COCO(str(tmp_path / "coco.json"))


def test_objects_paint_the_label_maps(read: COCO) -> None:
    assert {entry["name"]: entry["id"] for entry in read.loadCats(read.getCatIds())} == dict(
        zip(NAMES, range(1, 5), strict=True)
    )
    images = {image["file_name"]: image for image in read.loadImgs(read.getImgIds())}
    assert images.keys() == label_maps().keys()
    for name, labels in label_maps().items():
        assert (images[name]["height"], images[name]["width"]) == labels.shape
        covered = np.zeros(labels.shape, int)
        painted = np.full(labels.shape, 99)
        for annotation in read.loadAnns(read.getAnnIds(imgIds=images[name]["id"])):
            pixels = read.annToMask(annotation).astype(bool)
            painted[pixels] = annotation["category_id"] - 1
            covered += pixels
        assert (covered == 1).all(), "every pixel belongs to one object"
        assert (painted == labels).all()


def test_an_object_is_a_connected_component_in_its_box(read: COCO) -> None:
    for image in read.loadImgs(read.getImgIds()):
        labels = label_maps()[image["file_name"]]
        expected = {}
        for category in range(4):
            parts, _ = ndimage.label(labels == category, np.ones((3, 3)))
            for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
                box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
                mask = parts == number
                expected[category + 1, mask.tobytes()] = (box, mask.sum())
        found: dict[Any, Any] = {}
        for annotation in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
            mask = read.annToMask(annotation).astype(bool)
            found[annotation["category_id"], mask.tobytes()] = (tuple(annotation["bbox"]), annotation["area"])
        assert found == expected


def test_polygons_have_corners_only(tmp_path: Path) -> None:
    objects = CocoObjects(NAMES, "polygons")
    objects.add("ring.png", RING)
    objects.write(tmp_path / "coco.json")
    written = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    pixel = next(entry for entry in written if entry["category_id"] == 3)
    assert sorted(zip(pixel["segmentation"][0][::2], pixel["segmentation"][0][1::2], strict=True)) == [
        (2, 2), (2, 2), (2, 3), (3, 2), (3, 3),
    ]  # fmt: skip
    ring = next(entry for entry in written if entry["category_id"] == 2)
    # 4 corners outside and 4 of the hole, each ring closed, and the way back to the first
    assert len(ring["segmentation"][0]) == 2 * (5 + 5 + 1)


def test_no_text_of_all_objects_is_held(tmp_path: Path) -> None:
    objects = CocoObjects(NAMES, "runs")
    for seed in range(3):
        objects.add(f"{seed}.png", np.random.default_rng(seed).integers(0, 4, (150, 150), dtype=np.uint8))
    tracemalloc.start()
    objects.write(tmp_path / "coco.json")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = (tmp_path / "coco.json").stat().st_size
    assert size > 1_000_000
    assert peak < size / 4
