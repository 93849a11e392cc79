"""Segments of outlines in COCO's format against pycocotools, larger objects first."""

import contextlib
import io
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from seglight.data import COCOPolygonsDataModule
from seglight.data.segments import NONE, dataset_of
from tests.support import fabricate


def test_each_object_is_a_segment(tmp_path: Path) -> None:
    root = fabricate.coco_json(tmp_path / "coco")
    datamodule = COCOPolygonsDataModule(str(root), instances=True)
    assert datamodule.class_names == ["background", "cat", "dog", "sofa"]
    assert datamodule.things == (1, 2, 3)
    split, plain = datamodule.split("val"), COCOPolygonsDataModule(str(root)).split("val")
    assert split.fingerprint == plain.fingerprint
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(root / "annotations" / "instances_val2017.json"))
    for index in range(len(split)):
        image, mask, name, segments = split.read_segments(index)  # type: ignore[attr-defined]
        for ours, theirs in zip((image, mask, name), plain.read(index), strict=True):
            assert np.array_equal(ours, theirs)
        np.testing.assert_array_equal(segments.mask(4), mask)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=int(Path(name).stem)))
        objects = [each for each in annotations if not each["iscrowd"]]
        expected = np.zeros(mask.shape, np.uint16)
        for each in annotations:
            if each["iscrowd"]:
                expected[coco.annToMask(each) > 0] = NONE
        for number, each in sorted(enumerate(objects, 1), key=lambda pair: -int(coco.annToMask(pair[1]).sum())):
            expected[coco.annToMask(each) > 0] = number
        np.testing.assert_array_equal(segments.ids, expected)
        indices = {17: 1, 18: 2, 63: 3}
        assert segments.classes.tolist() == [0, *(indices[each["category_id"]] for each in objects)]
    assert "segments" in dataset_of(split, num_classes=4)[0, 0]
