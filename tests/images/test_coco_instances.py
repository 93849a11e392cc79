"""Instances in COCO's JSON, read by pycocotools."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from seglight.images.coco_instances import CocoInstances


def test_pycocotools_reads_the_instances(tmp_path: Path) -> None:
    masks = np.zeros((3, 12, 17), bool)
    masks[0, 2:5, 3:9] = masks[2, 4:12, 8:] = True
    masks[0, 3, 4] = False
    file = CocoInstances(["ground", "cat"])
    file.add("empty.jpg", (5, 6), [], [], [])
    file.add("a.jpg", (12, 17), iter(masks), [1, 0, 0], [0.9, 0.8, 1 / 3])
    file.write(tmp_path / "instances.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "instances.json"))
        results = coco.loadRes(json.loads((tmp_path / "instances.json").read_text())["annotations"])
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=2))
    assert coco.getAnnIds(imgIds=1) == []
    assert [each["category_id"] for each in annotations] == [2, 1]
    assert [each["bbox"] for each in annotations] == [[3, 2, 6, 3], [8, 4, 9, 8]]
    assert [each["area"] for each in annotations] == [17, 72]
    assert [each["score"] for each in results.loadAnns(results.getAnnIds())] == [0.9, 0.333333]
    for each, mask in zip(annotations, masks[[0, 2]], strict=True):
        np.testing.assert_array_equal(coco.annToMask(each).astype(bool), mask)
    assert coco.loadCats(2)[0]["name"] == "cat"
