"""Covers: data.layouts.labelme_files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seglight.data import FolderDataModule, LabelMeDataModule
from seglight.data.classes import voc_color
from seglight.data.layouts.convert import convert
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import fabricate, outline_layouts
from tests.support.layouts import Maps
from tests.support.outline_layouts import NAMES
from tests.support.samples import readings, samples


def in_place(layout: Layout, root: Path, folder: Path, **options: Any) -> LabelMeDataModule:
    """The data module, with the class table in a folder as `init` writes it."""
    assert layout.in_place is not None
    assert layout.in_place.class_path == "seglight.data.LabelMeDataModule"
    if layout.in_place.class_table is not None:
        folder.mkdir()
        (folder / "classes.yaml").write_text(yaml.safe_dump(layout.in_place.class_table))
        options["classes"] = str(folder / "classes.yaml")
    return LabelMeDataModule(str(root), **layout.in_place.init_args, **options)


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))


def test_files_by_split_in_folders_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "set"
    expected = outline_layouts.labelme_apart(root)
    layout = recognise(root, Choices())
    assert layout.form == "LabelMe JSON"
    assert layout.classes.names == NAMES
    assert layout.classes.palette == tuple(map(voc_color, range(4)))
    assert layout.in_place is not None
    assert layout.in_place.init_args == {"shapes": {"train": "labels/train", "val": "labels/val"}}
    datamodule = in_place(layout, root, tmp_path / "project")
    assert datamodule.classes == layout.classes
    for split, number in (("train", 4), ("val", 2)):
        assert len(layout.splits[split]) == number
        read = datamodule.split(split)
        for index, image in enumerate(layout.splits[split]):
            assert (layout.labels(image) == expected[image.name]).all()
            _, mask, name = read.read(index)
            assert name == str(image)
            assert (mask == expected[image.name]).all()


def test_one_folder_without_a_split(tmp_path: Path) -> None:
    root = tmp_path / "set"
    expected = outline_layouts.labelme_beside(root)
    shutil.copy(root / "street_000.jpg", root / "unlabelled.jpg")
    layout = recognise(root, Choices())
    assert list(layout.splits) == ["all"]
    assert layout.remarks == ["Images without a LabelMe file, which are left out: 1."]
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "val.txt").write_text("street_004.jpg\nstreet_001.jpg\n")
    read = in_place(layout, root, tmp_path / "project", lists=str(lists)).split("val")
    assert [Path(read.read(index)[2]).name for index in range(2)] == ["street_004.jpg", "street_001.jpg"]
    assert (read.read(0)[1] == expected["street_004.jpg"]).all()


def test_a_data_set_that_was_always_read(tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "set")
    layout = recognise(root, Choices())
    assert layout.in_place is not None
    assert layout.in_place.class_table is None
    before, after = LabelMeDataModule(str(root)), in_place(layout, root, tmp_path / "project")
    assert before.classes == after.classes == layout.classes
    for split in ("train", "val", "test"):
        ours, theirs = after.split(split), before.split(split)
        assert [ours.sources(k) for k in range(len(ours))] == [theirs.sources(k) for k in range(len(theirs))]
        assert (ours.read(0)[1] == theirs.read(0)[1]).all()


def test_an_image_that_is_only_embedded(tmp_path: Path) -> None:
    """`old_3x.json` names the image of the other file by a path of Windows, and contains its own."""
    layout = recognise(samples() / "labelme-json/facade-made", Choices())
    told = readings(samples())["labelme-json/facade-made"]
    assert layout.classes.names == ("background", "dot", "edge", "facade", "lamp", "tree", "window")
    assert layout.remarks == ["Images that are only embedded in their LabelMe files: 1."]
    assert layout.in_place is None
    assert [image.name for image in layout.splits["all"]] == ["all_shapes.jpg", "old_3x.jpg"]
    converted = convert(layout, tmp_path / "out", {"train": layout.splits["all"]})
    data = FolderDataModule(str(converted.root)).split("train")
    for index, name in enumerate(("all_shapes", "old_3x")):
        image, mask, _ = data.read(index)
        assert image.shape == (360, 480, 3)
        expected = dict(told[name]["painted_in_file_order"])
        assert int((mask == 0).sum()) == expected.pop("__background__")
        assert {label: int((mask == layout.classes.names.index(label)).sum()) for label in expected} == expected


def test_two_files_of_one_image(tmp_path: Path) -> None:
    outline_layouts.labelme_beside(tmp_path)
    shutil.copy(tmp_path / "street_000.json", tmp_path / "copy.json")
    layout = recognise(tmp_path, Choices())
    assert len(layout.splits["all"]) == 6
    assert layout.remarks == [f"Left out, because another file has the same image: {tmp_path / 'copy.json'}."]


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    expected = outline_layouts.labelme_beside(tmp_path)
    edited(tmp_path / "street_000.json", lambda table: table.update(shapes=[], flags={"rain": True}))
    edited(tmp_path / "street_001.json", lambda table: table.update(shapes=[]))
    edited(tmp_path / "street_002.json", lambda table: table["shapes"][0].update(label="Sky"))
    edited(tmp_path / "street_003.json", lambda table: table["shapes"][0].update(label="_background_"))
    edited(tmp_path / "street_004.json", lambda table: table["shapes"][0].update(label="__ignore__"))
    layout = recognise(tmp_path, Choices())
    assert layout.classes.names == ("background", "Sky", "car", "sky", "tree")
    assert layout.remarks == [
        "Files without a shape: 2, of which 1 have flags; all of their pixels are background.",
        "Labels that differ only in their case or in blanks are different classes: 'Sky' (1), 'sky' (1) shapes.",
    ]
    first, _, _, without, ignored, _ = layout.splits["all"]
    assert not layout.labels(first).any()
    for image, value in ((without, 0), (ignored, 255)):
        known = expected[image.name]
        # car and tree have moved on by the class `Sky`
        assert (
            layout.labels(image) == np.where(known == 2, value, known + (known > 0) * (known != 1) + (known == 1))
        ).all()


def test_labels_beside_those_of_a_list(tmp_path: Path) -> None:
    outline_layouts.labelme_apart(tmp_path)
    for k in (0, 1, 2):
        edited(tmp_path / f"labels/train/street_00{k}.json", lambda table: table["shapes"][1].update(label="cra"))
    path = tmp_path / "labels/train/street_000.json"
    with pytest.raises(
        UserError,
        match=rf"labels.txt: labels that it does not name: 'cra' \(3 shapes, such as in {path}\): correct them, or add",
    ):
        recognise(tmp_path, Choices())


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda t: t["shapes"][1].update(shape_type="spiral"),
            r"street_000.json: a shape 'car' of kind 'spiral' and 4 points covers no known area "
            r"\(6 shapes of 6 files can't be painted\): draw it as polygon, rectangle, circle, line or mask",
        ),
        (lambda t: t["shapes"][2].update(mask=None), r"street_000.json: the mask 'tree' has no pixels \(6 shapes of 6"),
        (lambda t: t.pop("shapes"), r"street_000.json: not a file of LabelMe .*: save it there again \(and 5 more: "),
        (lambda t: t["shapes"][0].pop("points"), r"street_000.json: not a file of LabelMe .*'points'.* \(and 5 more: "),
        (lambda t: t.update(shapes=[]), r"street_000.json: no shape in any of LabelMe's 6 files: draw the objects"),
        (
            lambda t: t.update(shapes=[], flags={"rain": True}),
            "no shape in any of LabelMe's 6 files; 6 have flags, which describe a whole image: draw",
        ),
        (
            lambda t: [shape.update(label="_background_") for shape in t["shapes"]],
            "0 labels beside the background, where 1 to 4095 are possible",
        ),
    ],
)
def test_mistakes_of_one_kind_are_one_line(edit: Callable[[Any], object], told: str, tmp_path: Path) -> None:
    outline_layouts.labelme_beside(tmp_path)
    for path in tmp_path.glob("*.json"):
        edited(path, edit)
    with pytest.raises(UserError, match=told) as refused:
        recognise(tmp_path, Choices())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("build", [outline_layouts.labelme_beside, outline_layouts.labelme_apart])
def test_missing_images(build: Callable[[Path], Maps], tmp_path: Path) -> None:
    build(tmp_path)
    images = sorted(tmp_path.rglob("*.jpg"))
    for image in images[:2]:
        image.unlink()
    with pytest.raises(
        UserError, match=r"files whose image was not found: .*0.json, .*1.json: add the images, or remove"
    ):
        recognise(tmp_path, Choices())
    for image in images[2:]:
        image.unlink()
    with pytest.raises(UserError, match=r"the images of LabelMe's 6 files were not found below .*: copy them there"):
        recognise(tmp_path, Choices())


def test_splits_in_one_folder_of_files_are_converted(tmp_path: Path) -> None:
    """Only the folders of the images have the names of splits."""
    outline_layouts.labelme_apart(tmp_path)
    for path in sorted((tmp_path / "labels").rglob("*.json")):
        path.rename(tmp_path / "labels" / path.name)
        edited(tmp_path / "labels" / path.name, lambda table: table.update(imagePath=table["imagePath"][3:]))
    layout = recognise(tmp_path, Choices())
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 4, "val": 2}
    assert layout.in_place is None
