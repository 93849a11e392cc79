"""COCO's panoptic format, and Cityscapes' instance ids against the conversion of cityscapesscripts.

Covers: data.layouts.panoptic_file.
"""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation.evalPanopticSemanticLabeling import rgb2id
from cityscapesscripts.preparation.createPanopticImgs import convert2panoptic
from PIL import Image

from seglight.data import CityscapesDataModule, COCOPanopticDataModule
from seglight.data.segments import NONE, Segments, dataset_of
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fabricate.coco_panoptic(tmp_path / "coco")


def edited(path: Path, change: Callable[[Any], None]) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def test_classes_are_the_categories_by_id(root: Path) -> None:
    datamodule = COCOPanopticDataModule(str(root))
    assert datamodule.class_names == ["cat", "dog", "sky", "grass"]
    assert datamodule.palette == [(17, 9, 7), (18, 9, 7), (187, 9, 7), (193, 9, 7)]
    assert datamodule.things == (0, 1)
    assert [len(datamodule.split(name)) for name in ("train", "val")] == [4, 2]


def test_segments_are_those_of_the_png(root: Path) -> None:
    split = COCOPanopticDataModule(str(root)).split("val")
    image, mask, name, segments = split.read_segments(0)  # type: ignore[attr-defined]
    ids = rgb2id(np.array(Image.open(root / "annotations" / "panoptic_val2017" / f"{Path(name).stem}.png")))
    assert image.shape[:2] == mask.shape == ids.shape
    (info,) = [
        each["segments_info"]
        for each in json.loads((root / "annotations" / "panoptic_val2017.json").read_text())["annotations"]
        if Path(name).stem in each["file_name"]
    ]
    indices = {17: 0, 18: 1, 187: 2, 193: 3}
    assert len(segments.classes) == len(info) == 5
    for number, each in enumerate(sorted(info, key=lambda each: each["id"])):
        np.testing.assert_array_equal(segments.ids == number, ids == each["id"])
        assert segments.classes[number] == indices[each["category_id"]]
        assert segments.crowds[number] == each["iscrowd"]
        assert (mask[ids == each["id"]] == segments.classes[number]).all()
    np.testing.assert_array_equal(segments.ids == NONE, ids == 0)
    np.testing.assert_array_equal(mask == 255, ids == 0)
    for ours, theirs in zip(split.read(0), (image, mask, name), strict=True):
        assert np.array_equal(ours, theirs)  # type: ignore[arg-type]
    assert dataset_of(split, num_classes=4)[0, 0]["segment_crowds"].sum() == 1


def test_lists_keep_the_segments(root: Path, tmp_path: Path) -> None:
    datamodule = COCOPanopticDataModule(str(root))
    name = datamodule.split("train").read(2)[2]
    for split in ("train", "val"):
        (tmp_path / f"{split}.txt").write_text(f"{Path(name).name}\n")
    chosen = COCOPanopticDataModule(str(root), lists=str(tmp_path)).split("val")
    assert chosen.read_segments(0)[2] == name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table["annotations"][0]["segments_info"].pop(), "1 ids, such as 300, have no category"),
        (
            lambda table: table["annotations"][0]["segments_info"][0].update(category_id=5),
            "category 5, which is not in",
        ),
        (lambda table: table["annotations"][0]["segments_info"][0].update(id=3), "ids that are equal or below 1"),
        (lambda table: table["categories"][0].pop("isthing"), "not of COCO's panoptic form .KeyError 'isthing'"),
        (lambda table: table["images"].pop(), "not of COCO's panoptic form .KeyError"),
        (lambda table: table["categories"].pop(), "other categories than in the other splits"),
        (lambda table: table.update(annotations=[]), "it lists no image"),
    ],
)
def test_mistakes_are_named(root: Path, change: Callable[[Any], None], message: str) -> None:
    edited(root / "annotations" / "panoptic_train2017.json", change)
    with pytest.raises(UserError, match=message):
        COCOPanopticDataModule(str(root)).split("train").read(0)


def test_missing_files_are_named(root: Path) -> None:
    next((root / "annotations" / "panoptic_val2017").iterdir()).unlink()
    with pytest.raises(UserError, match=r"png is missing \(1 are\): add the files, or set data.masks"):
        COCOPanopticDataModule(str(root)).split("val")
    with pytest.raises(UserError, match="the train panoptic PNGs should be"):
        COCOPanopticDataModule(str(root), masks="nowhere").split("train")


def test_instances_of_cityscapes_are_those_of_its_own_conversion(tmp_path: Path) -> None:
    root = fabricate.cityscapes(tmp_path / "cityscapes", val=2)
    rng = np.random.default_rng(0)
    for path in (root / "gtFine" / "val").rglob("*_labelIds.png"):
        labels = np.array(Image.open(path)).astype(np.int32)
        # of things (24 to 33) instances 0 to 2, and groups, which have the id of the label
        number = rng.integers(0, 4, labels.shape)
        ids = np.where((labels >= 24) & (number < 3), 1000 * labels + number, labels)
        Image.fromarray(ids.astype(np.uint16)).save(str(path).replace("labelIds", "instanceIds"))
    (tmp_path / "out").mkdir()
    with contextlib.redirect_stdout(io.StringIO()):
        convert2panoptic(str(root / "gtFine"), str(tmp_path / "out"), useTrainId=True, setNames=["val"])
    datamodule = CityscapesDataModule(str(root), instances=True)
    assert [datamodule.class_names[k] for k in (datamodule.things[0], datamodule.things[-1])] == ["person", "bicycle"]
    split = datamodule.split("val")
    (listing,) = (tmp_path / "out").glob("*.json")
    annotations = {each["image_id"]: each for each in json.loads(listing.read_text())["annotations"]}
    crowds = 0
    for index in range(2):
        found: Segments
        _, mask, name, found = split.read_segments(index)  # type: ignore[attr-defined]
        theirs = annotations[Path(name).name.removesuffix("_leftImg8bit.png")]
        ids = rgb2id(np.array(Image.open(listing.with_suffix("") / theirs["file_name"])))
        infos = sorted(theirs["segments_info"], key=lambda each: each["id"])
        assert found.classes.tolist() == [each["category_id"] for each in infos]
        assert found.crowds.tolist() == [each["iscrowd"] == 1 for each in infos]
        numbers = np.array([each["id"] for each in infos] + [0])
        np.testing.assert_array_equal(numbers[np.where(found.ids == NONE, len(infos), found.ids)], ids)
        np.testing.assert_array_equal(found.mask(19), mask)
        crowds += found.crowds.sum()
    assert crowds
    path = next((root / "gtFine" / "val").rglob("*_instanceIds.png"))
    path.unlink()
    with pytest.raises(UserError, match="no such file, where instance ids should be"):
        [split.read_segments(k) for k in range(2)]  # type: ignore[attr-defined]
