import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from seglight.data import COCOPolygonsDataModule
from seglight.data.layouts.outlines import paint
from seglight.data.layouts.painting import IGNORED
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.fabricate import box


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return fabricate.coco_json(tmp_path / "coco")


def test_painted_by_hand() -> None:
    """A small object stays on a larger one, in whichever order they stand; the one on a crowd counts, the rest not."""
    runs = {"size": [4, 6], "counts": [0, 8, 16]}  # by column: the first two
    large, small, crowd = (1, [box(1, 1, 5, 4)]), (2, [box(3, 2, 5, 3)]), (IGNORED, runs)
    expected = [
        [255, 255, 0, 0, 0, 0],
        [255, 1, 1, 1, 1, 0],
        [255, 1, 1, 2, 2, 0],
        [255, 1, 1, 1, 1, 0],
    ]
    for outlines in ([large, small, crowd], [crowd, small, large], [small, crowd, large]):
        assert paint(outlines, (4, 6), 4).tolist() == expected


def test_an_object_of_two_polygons_is_one_area() -> None:
    """Two parts of 4 pixels make 8: painted before an object of 6, though none of the parts is as large."""
    halves, middle = (1, [box(0, 0, 2, 2), box(4, 0, 6, 2)]), (2, [box(1, 0, 4, 2)])
    assert paint([middle, halves], (2, 6), 3).tolist() == [[1, 2, 2, 2, 1, 1]] * 2


def test_runs_count_as_polygons_do_compressed_or_not() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, (7, 5), np.uint8)
    compressed = rle.encode(np.asfortranarray(mask))
    text = {**compressed, "counts": compressed["counts"].decode()}
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0)).tolist()
    plain = {"size": [7, 5], "counts": np.diff([0, *changes, 35]).tolist()}
    for runs in (text, plain):
        assert (paint([(3, runs)], (7, 5), 4) == 3 * mask).all()


@pytest.mark.parametrize("split", ["train", "val"])
def test_masks_are_what_pycocotools_draws(coco: Path, split: str) -> None:
    datamodule = COCOPolygonsDataModule(str(coco))
    assert datamodule.class_names == ["background", "cat", "dog", "sofa"], "by category id, not by place in the file"
    theirs = COCO(coco / "annotations" / f"instances_{split}2017.json")
    class_of = {17: 1, 18: 2, 63: 3}
    ours = datamodule.split(split)
    assert len(ours) == len(theirs.imgs)
    for index, image_id in enumerate(theirs.imgs):
        image, mask, name = ours.read(index)
        annotations = theirs.loadAnns(theirs.getAnnIds(image_id))
        pixels = [theirs.annToMask(annotation).astype(bool) for annotation in annotations]
        expected = np.zeros(mask.shape, np.uint8)
        for k in sorted(range(len(annotations)), key=lambda k: (-annotations[k]["iscrowd"], -pixels[k].sum())):
            expected[pixels[k]] = 255 if annotations[k]["iscrowd"] else class_of[annotations[k]["category_id"]]
        assert (mask == expected).all()
        assert set(np.unique(mask)) == {0, 1, 2, 3, 255}
        assert name == str(coco / f"{split}2017" / theirs.imgs[image_id]["file_name"])
        assert (image == fabricate.raw(Path(name))).all()
        assert ours.sources(index) == (Path(name), coco / "annotations" / f"instances_{split}2017.json")


def test_an_export_of_another_layout(coco: Path) -> None:
    for split in ("train", "val"):
        (coco / f"{split}2017").rename(coco / split)
        (coco / f"annotations/instances_{split}2017.json").rename(coco / split / "_annotations.coco.json")
    datamodule = COCOPolygonsDataModule(str(coco), annotations="{split}/_annotations.coco.json", images="{split}")
    assert len(datamodule.split("train")) == 4


def edited(coco: Path, split: str, edit: Callable[[Any], object]) -> Path:
    path = coco / "annotations" / f"instances_{split}2017.json"
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))
    return path


def test_an_image_without_outlines_is_background(coco: Path) -> None:
    edited(coco, "val", lambda table: table.update(annotations=table["annotations"][4:]))
    assert set(np.unique(COCOPolygonsDataModule(str(coco)).split("val").read(0)[1])) == {0}


def test_outlines_of_images_that_were_taken_out_are_left_out(coco: Path) -> None:
    edited(coco, "val", lambda table: table.update(images=table["images"][1:]))
    assert len(COCOPolygonsDataModule(str(coco)).split("val")) == 1


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda t: t["annotations"][2].update(segmentation=[]),
            r"annotation 2 has no outline but \[\]: export polygons",
        ),
        (lambda t: t["annotations"][2].pop("segmentation"), "annotation 2 has no outline but None"),
        (lambda t: t["annotations"][2].update(segmentation=[[1, 1, 5, 5]]), r"annotation 2 .* \[\[1, 1, 5, 5\]\]"),
        (lambda t: t["annotations"][2].update(segmentation=[[1, 1, 5, 5, 2, 3, 4]]), "annotation 2 has no outline"),
        (lambda t: t["annotations"][3]["segmentation"].update(size=[5, 5]), "annotation 3 .* runs at the image's size"),
        (
            lambda t: t["annotations"][1].update(category_id=5),
            "annotation 1 is of category 5, which is missing in `categories`",
        ),
        (lambda t: t["annotations"][1].pop("image_id"), "not of COCO's form .KeyError 'image_id'"),
        (lambda t: t.pop("annotations"), "not of COCO's form .KeyError 'annotations'"),
        (lambda t: t.update(images=[]), "it lists no image"),
        (lambda t: t["categories"].pop(), "other categories than in the other splits"),
        (lambda t: t["categories"][0].update(name="divan"), "other categories than in the other splits"),
    ],
)
def test_faults_of_a_file_are_reported(coco: Path, edit: Callable[[Any], object], told: str) -> None:
    path = edited(coco, "train", edit)
    with pytest.raises(UserError, match=rf"^{path}: .*{told}"):
        COCOPolygonsDataModule(str(coco)).split("train")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: t.pop("categories"), "no `categories` of COCO's form .KeyError"),
        (lambda t: t.update(categories=[]), "0 categories, where 1 to 4095 are read"),
        (
            lambda t: t["categories"][0].update(name="cat"),
            "categories of one name: 'cat' .2 times.: rename",
        ),
        (lambda t: t["categories"][0].update(id=17), "two categories have one id"),
        (
            lambda t: t.update(categories=[{"id": 1, "name": "background"}]),
            "no category but 'background': there is nothing to learn",
        ),
    ],
)
def test_categories_that_cannot_be_classes_are_reported(coco: Path, edit: Callable[[Any], object], told: str) -> None:
    path = edited(coco, "val", edit)
    with pytest.raises(UserError, match=rf"^{path}: .*{told}"):
        COCOPolygonsDataModule(str(coco))


def test_what_is_missing_is_named(coco: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"^{tmp_path}/annotations/instances_val2017.json: no such file, where outlines"
    ):
        COCOPolygonsDataModule(str(tmp_path))
    datamodule = COCOPolygonsDataModule(str(coco))
    with pytest.raises(UserError, match=r"instances_test2017.json: no such file, .* set data.root and"):
        datamodule.split("test")
    image = sorted((coco / "val2017").iterdir())[1]
    image.unlink()
    with pytest.raises(UserError, match=rf"instances_val2017.json: its image {image} is missing \(1 are\)"):
        datamodule.split("val")
    (coco / "annotations/instances_train2017.json").write_text("{")
    with pytest.raises(UserError, match=r"instances_train2017.json: not JSON"):
        datamodule.split("train")


def boxed(table: Any) -> None:
    """The first cat is only a box, of x 10 to 20 and y 10 to 20."""
    table["annotations"][0].update(segmentation=[], bbox=[10, 10, 10, 10])


def test_boxes_are_refused_unless_they_are_chosen(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(coco, "val", boxed)
    with pytest.raises(UserError, match=r"annotation 0 has no outline .*, or set data.boxes to ignore or fill$"):
        COCOPolygonsDataModule(str(coco)).split("val")
    assert COCOPolygonsDataModule(str(coco), boxes="fill").split("val").read(0)[1][10:20, 10:20].min() == 1
    ignoring = COCOPolygonsDataModule(str(coco), boxes="ignore").split("val")
    mask = ignoring.read(0)[1]
    assert set(np.unique(mask[10:20, 10:20])) == {3}, "the sofa lies there, and objects count on ignored pixels"
    assert ignoring.fingerprint.endswith("boxes: ignore")
    assert f"{path}: objects that have a box and no outline: 1; their pixels are ignored" in capsys.readouterr().err


def test_a_path_for_each_split(coco: Path) -> None:
    (coco / "val2017").rename(coco / "valid")
    datamodule = COCOPolygonsDataModule(
        str(coco),
        annotations={split: f"annotations/instances_{split}2017.json" for split in ("train", "val")},
        images={"train": "train2017", "val": "valid"},
    )
    assert [len(datamodule.split(split)) for split in ("train", "val")] == [4, 2]
    with pytest.raises(UserError, match=r"data.annotations names nothing for the test split, only for train"):
        datamodule.split("test")


def test_a_category_can_be_left_out(coco: Path) -> None:
    for split in ("train", "val"):
        edited(coco, split, lambda t: t["categories"].append({"id": 0, "name": "animals", "supercategory": "none"}))
    assert COCOPolygonsDataModule(str(coco)).num_classes == 5
    assert COCOPolygonsDataModule(str(coco), skip_categories=[0]).class_names == ["background", "cat", "dog", "sofa"]
    with pytest.raises(UserError, match="category 63, which is missing in `categories`, or left out by"):
        COCOPolygonsDataModule(str(coco), skip_categories=[0, 63]).split("val")
