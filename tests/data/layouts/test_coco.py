"""Covers: data.layouts.coco_file, data.layouts.coco_images, data.layouts.outlines, data.layouts.segment_anything."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from seglight.data import COCOPolygonsDataModule
from seglight.data.classes import voc_color
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.outlines import paint, pixels_of
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import outline_layouts
from tests.support.layouts import Maps
from tests.support.outline_layouts import NAMES
from tests.support.samples import readings, samples


def counts(labels: Any) -> dict[str, int]:
    values, numbers = np.unique(labels, return_counts=True)
    return {str(value): int(number) for value, number in zip(values, numbers, strict=True)}


def in_place(layout: Layout, root: Path, **options: Any) -> COCOPolygonsDataModule:
    assert layout.in_place is not None
    assert layout.in_place.class_path == "seglight.data.COCOPolygonsDataModule"
    return COCOPolygonsDataModule(str(root), **layout.in_place.init_args, **options)


@pytest.mark.parametrize(
    ("build", "splits"),
    [
        (outline_layouts.coco_roboflow, {"train": 4, "val": 2}),
        (outline_layouts.coco_cvat, {"all": 6}),
        (outline_layouts.coco_label_studio, {"all": 6}),
    ],
)
def test_a_data_set_of_each_tool(build: Callable[[Path], Maps], splits: dict[str, int], tmp_path: Path) -> None:
    expected = build(tmp_path)
    layout = recognise(tmp_path, Choices())
    assert layout.form == "COCO JSON"
    assert layout.classes.names == NAMES
    assert layout.classes.palette == tuple(map(voc_color, range(4)))
    assert {split: len(images) for split, images in layout.splits.items()} == splits
    for images in layout.splits.values():
        for image in images:
            assert (layout.labels(image) == expected[image.name]).all()
    lists = tmp_path / "lists"
    lists.mkdir()
    images = [image for files in layout.splits.values() for image in files]
    for split, files in (("train", images[:4]), ("val", images[4:])):
        (lists / f"{split}.txt").write_text("".join(f"{file.relative_to(tmp_path).as_posix()}\n" for file in files))
    for options in ({}, {"lists": str(lists)}) if "train" in splits else ({"lists": str(lists)},):
        datamodule = in_place(layout, tmp_path, **options)
        assert datamodule.classes == layout.classes
        read = [datamodule.split(split).read(index) for split in ("train", "val") for index in range(2)]
        assert len({name for _, _, name in read}) == 4
        for _, mask, name in read:
            assert (mask == expected[Path(name).name]).all()


def test_the_export_of_roboflow() -> None:
    """The root category `facade`, id 0, has the name of the class `facade`, id 3, and no object."""
    root = samples() / "coco/roboflow-facade"
    layout = recognise(root, Choices())
    assert layout.classes.names[:4] == ("background", "balcony-fence", "car", "facade")
    assert len(layout.classes) == 11
    assert layout.remarks == [
        "The root category 'facade' (id 0), which Roboflow adds and no object has, is no class.",
    ]
    told = readings(samples())["coco/roboflow-facade"]
    datamodule = in_place(layout, root)
    seen = []
    for split, images in layout.splits.items():
        for index, image in enumerate(images):
            name = image.relative_to(root).as_posix()
            assert counts(layout.labels(image)) == told[name]["painted_large_first"]
            assert counts(datamodule.split(split).read(index)[1]) == told[name]["painted_large_first"]
            seen.append(name)
    assert sorted(seen) == sorted(told)


def test_compressed_runs_of_a_file_beside_its_image() -> None:
    root = samples() / "coco/compressed-rle-made"
    layout = recognise(root, Choices())
    told = readings(samples())["coco/compressed-rle-made"]["facade_b.jpg"]["area_per_annotation_id"]
    theirs = COCO(root / "annotations.json")
    assert {str(key): int(theirs.annToMask(one).sum()) for key, one in theirs.anns.items()} == told
    expected = np.zeros((1024, 1024), np.uint8)
    for one in sorted(theirs.anns.values(), key=lambda one: -int(theirs.annToMask(one).sum())):
        expected[theirs.annToMask(one).astype(bool)] = one["category_id"]
    (image,) = layout.splits["all"]
    assert (layout.labels(image) == expected).all()


@pytest.mark.parametrize(("boxes", "value"), [("ignore", 255), ("fill", 2)])
def test_an_object_that_is_a_box(boxes: Any, value: int) -> None:
    """It has x 2, y 2, width 3, height 1, and category 2; in the other split, runs are marked as a crowd."""
    root = samples() / "coco/datumaro-instances"
    layout = recognise(root, Choices(boxes))
    assert layout.classes.names == ("background", "a", "b", "c")
    expected = np.zeros((5, 10), np.uint8)
    expected[2, 2:5] = value
    assert (layout.labels(layout.splits["train"][0]) == expected).all()
    assert (in_place(layout, root).split("train").read(0)[1] == expected).all()
    done = {"ignore": "the pixels of the boxes are ignored", "fill": "the box is their area"}[boxes]
    assert layout.remarks == [
        "Regions marked `iscrowd`: 1; their pixels are ignored, except objects in them.",
        f"Objects that have a box and no outline: 1; {done}.",
    ]
    crowd = np.zeros((10, 5), np.uint8)
    crowd[:, :2] = 255  # 20 pixels down the columns
    crowd[:2, :1] = 1
    assert (layout.labels(layout.splits["val"][0]) == crowd).all()


def test_masks_of_segment_anything() -> None:
    root = samples() / "coco/segment-anything"
    layout = recognise(root, Choices())
    assert layout.form == "Segment Anything JSON"
    assert layout.in_place is None
    told = readings(samples())["coco/segment-anything"]
    for image in layout.splits["all"]:
        assert (layout.labels(image) == 1).sum() == told[f"{image.stem}.json"][0]["pixels"]
    assert "no class" in layout.remarks[0]


def test_segment_anything_without_images(tmp_path: Path) -> None:
    content = {
        "image": {"image_id": 1, "width": 10, "height": 5, "file_name": "a.jpg"},
        "annotations": [{"segmentation": {}}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"images are missing beside their files: .*a.json: add them"):
        recognise(tmp_path, Choices())


def test_the_number_of_pixels_in_compressed_runs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width = rng.integers(1, 400, 2).tolist()
        mask = (rng.random((height, width)) < rng.random() ** 4).astype(np.uint8)
        counts = rle.encode(np.asfortranarray(mask))["counts"]
        assert pixels_of(counts) == pixels_of(counts.decode()) == height * width


@pytest.mark.parametrize(
    ("outline", "told"),
    [
        ([[0, 0, 1e9, 5, 5, 5]], "a corner is not within 1000000 pixels of the image"),
        ([[0, 0, float("nan"), 5, 5, 5]], "a corner is not within"),
        ([[0, 0, float("-inf"), 5, 5, 5]], "a corner is not within"),
        ({"counts": "", "size": [48, 64]}, "runs that are cut off"),
        ({"counts": "04P", "size": [48, 64]}, "runs that are cut off"),
        ({"counts": "P" * 20 + "0", "size": [48, 64]}, "runs that are no numbers"),
        ({"counts": "04", "size": [48, 64]}, "runs of 4 pixels, where the image has 3072"),
    ],
)
def test_outlines_that_would_crash_pycocotools_are_refused(outline: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        paint([(1, outline)], (48, 64), 2)


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))


def test_a_category_named_background_is_class_0(tmp_path: Path) -> None:
    expected = outline_layouts.coco_cvat(tmp_path)
    edited(
        tmp_path / "annotations/instances_default.json",
        lambda table: table["categories"][2].update(name="background"),
    )
    layout = recognise(tmp_path, Choices())
    assert layout.classes.names == ("background", "car", "sky")
    image = layout.splits["all"][0]
    without_trees = np.where(expected[image.name] == 3, 0, expected[image.name])
    assert (layout.labels(image) == without_trees).all()
    assert layout.remarks == ["The category 'background' is class 0, that of the pixels without an object."]


def test_names_used_twice_are_told_apart_by_their_supercategories(tmp_path: Path) -> None:
    outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"

    def rename(table: Any) -> None:
        for entry, parent in zip(table["categories"], ("bike", "lorry", "plant"), strict=True):
            entry.update(supercategory=parent, **({} if parent == "plant" else {"name": "wheel"}))

    edited(path, rename)
    assert recognise(tmp_path, Choices()).classes.names == ("background", "wheel (bike)", "wheel (lorry)", "tree")
    edited(path, lambda table: [entry.update(supercategory="none") for entry in table["categories"]])
    with pytest.raises(
        UserError,
        match=r"default.json: categories of one name: 'wheel' \(2 times\): rename or remove all but one, or leave one "
        r"without objects out by its id, data.skip_categories: \[1\]",
    ):
        recognise(tmp_path, Choices())


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    outline_layouts.coco_cvat(tmp_path)

    def edit(table: Any) -> None:
        table["categories"].append({"id": 9, "name": "_Background_"})
        table["annotations"][0]["image_id"] = 5000
        table["annotations"] = [one for one in table["annotations"] if one["image_id"] not in (101, 102)]

    edited(tmp_path / "annotations/instances_default.json", edit)
    assert recognise(tmp_path, Choices()).remarks == [
        "The category '_Background_' is class 0, that of the pixels without an object.",
        "Images without an object: 2; all of their pixels are background.",
        "Objects of images that are not listed: 1; they are left out.",
    ]


@pytest.mark.parametrize("place", ["/data/upload/1/", "https://example.org/upload/", "..\\..\\upload\\"])
def test_paths_of_another_computer(place: str, tmp_path: Path) -> None:
    expected = outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"
    edited(path, lambda table: [one.update(file_name=place + one["file_name"]) for one in table["images"]])
    layout = recognise(tmp_path, Choices())
    assert [image.name for image in layout.splits["all"]] == list(expected)
    assert len(in_place(layout, tmp_path).split("val")) == 6


def test_only_boxes_are_nothing_to_learn_from(tmp_path: Path) -> None:
    outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"
    edited(path, lambda table: [one.update(segmentation=[]) for one in table["annotations"]])
    with pytest.raises(
        UserError, match=r"all of the 18 objects are boxes: export outlines, or fill the boxes .--boxes fill."
    ):
        recognise(tmp_path, Choices())
    assert recognise(tmp_path, Choices("fill")).remarks == [
        "Objects that have a box and no outline: 18; the box is their area."
    ]
    edited(path, lambda table: table.update(annotations=[]))
    with pytest.raises(UserError, match=r"there is no object: export outlines"):
        recognise(tmp_path, Choices())


def test_other_files_of_coco_are_not_outlines(tmp_path: Path) -> None:
    expected = outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"
    table = json.loads(path.read_text())
    for name in ("captions_default.json", "person_keypoints_default.json"):
        (path.parent / name).write_text(json.dumps(table))
    assert recognise(tmp_path, Choices()).evidence == path
    for split in ("train", "val"):
        shutil.copy(path, path.parent / f"instances_{split}.json")
    layout = recognise(tmp_path, Choices())
    assert set(layout.splits) == {"train", "val"}
    assert layout.remarks == [f"Not read, because other files are named by their split: {path}."]
    assert len(expected) == 6


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: t["annotations"][0].update(category_id=77), r"annotation 1 is of category 77, which is missing in"),
        (
            lambda t: [one.update(segmentation=[[1, 1, 2, 2]]) for one in t["annotations"][:5]],
            r"annotation 1 has no outline but \[\[1, 1, 2, 2\]\] \(and 4 more annotations have none\): export polygons",
        ),
        (
            lambda t: t["images"][1].update(file_name="street_000.jpg"),
            "the same image is listed twice: street_000.jpg: give",
        ),
        (lambda t: t["images"][1].update(file_name="gone.jpg"), r"its image .*gone.jpg is missing \(1 of 6 are\): add"),
        (
            lambda t: [one.update(file_name=f"gone{one['id']}.jpg") for one in t["images"]],
            r"none of its 6 images, such as gone100.jpg, was found in .*: export the images, too",
        ),
        (lambda t: t.update(images=[]), "it lists no image: export it again"),
        (lambda t: t.pop("images"), "not of COCO's form .KeyError 'images'"),
        (lambda t: t["annotations"][0].update(segments_info=[]), "COCO's panoptic format, whose labels are PNG files"),
        (lambda t: t.update(categories=[]), "0 categories, where 1 to 4095 are read"),
    ],
)
def test_a_broken_file_is_one_line(edit: Callable[[Any], object], told: str, tmp_path: Path) -> None:
    outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"
    edited(path, edit)
    with pytest.raises(UserError, match=rf"^{path}: {told}") as refused:
        recognise(tmp_path, Choices())
    assert "\n" not in str(refused.value)


def test_several_files_without_a_split(tmp_path: Path) -> None:
    outline_layouts.coco_cvat(tmp_path)
    path = tmp_path / "annotations/instances_default.json"
    shutil.copy(path, path.parent / "instances_other.json")
    with pytest.raises(
        UserError, match=r"2 COCO files without a split in their names: .*default.json, .*other.json: keep"
    ):
        recognise(tmp_path, Choices())


def test_splits_of_two_projects(tmp_path: Path) -> None:
    outline_layouts.coco_roboflow(tmp_path)
    edited(tmp_path / "valid/_annotations.coco.json", lambda t: t["categories"][3].update(name="shrub"))
    with pytest.raises(UserError, match=r"valid/_annotations.coco.json: other categories than in .*train"):
        recognise(tmp_path, Choices())
