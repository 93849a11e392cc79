"""Each image has the labels that were drawn on it, for the files of all tools, or the data set is refused.

Covers: data.layouts.image_index, data.layouts.yolo_files.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import layouts, outline_layouts
from tests.support.fabricate import save_image, save_mask
from tests.support.layouts import SIZE, STEMS, Maps

OF_FILES = [build for form, build in layouts.CONVERTED.items() if form != "Hugging Face Parquet"]


def images_of(layout: Layout) -> list[Path]:
    return [image for images in layout.splits.values() for image in images]


@pytest.mark.parametrize("build", [*OF_FILES, *outline_layouts.BUILDERS])
@pytest.mark.parametrize("place", ["aaa", "zzz/images"])
def test_other_images_of_equal_names(build: Callable[[Path], Maps], place: str, tmp_path: Path) -> None:
    expected = build(tmp_path)
    pictures = [path for path in tmp_path.rglob("*") if path.name in expected]
    assert len(pictures) == len(expected)
    for k, path in enumerate(pictures):
        save_image(tmp_path / place / path.name, np.random.default_rng(100 + k), SIZE)
    try:
        layout = recognise(tmp_path, Choices())
    except UserError:
        return
    found = images_of(layout)
    assert sorted(found) == sorted(pictures)
    for image in found:
        np.testing.assert_array_equal(layout.labels(image), expected[image.name])


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def coco_again(root: Path) -> None:
    def edit(table: Any) -> None:
        first = table["images"][0]
        first["file_name"] = f"cam1/{first['file_name']}"
        table["images"].append({**first, "id": 999, "file_name": first["file_name"].replace("cam1", "cam2")})

    edited(root / "annotations/instances_default.json", edit)


def coco_of_two_splits(root: Path) -> None:
    path = root / "annotations/instances_default.json"
    shutil.copy(path, path.with_name("instances_val.json"))
    edited(path, lambda table: table["annotations"].pop())
    path.rename(path.with_name("instances_train.json"))


def cvat_again(root: Path) -> None:
    path = root / "annotations.xml"
    again = layouts.cvat_image(f"cam1/{STEMS[0]}.jpg", "")
    path.write_text(path.read_text().replace("</annotations>", f"{again}</annotations>"))


def studio_again(root: Path) -> None:
    edited(next(root.glob("project*.json")), lambda tasks: tasks.append({**tasks[0], "id": 99}))


def studio_mask_again(root: Path) -> None:
    path = next(root.rglob("task-1-*.png"))
    (root / "again").mkdir()
    shutil.copy(path, root / "again")


def studio_image_again(root: Path) -> None:
    (root / "more").mkdir()
    shutil.copy(root / "images/1.jpg", root / "more")


def kaggle_again(root: Path) -> None:
    path = root / "train.csv"
    path.write_text(f"{path.read_text()}\n{STEMS[0]},cat,1 1\n")


def supervisely_again(root: Path) -> None:
    path = root / "train/ann" / f"{STEMS[0]}.jpg.json"
    shutil.copy(path, path.with_name(f"{STEMS[0]}.json"))


def yolo_again(root: Path) -> None:
    (root / "images" / f"{STEMS[0]}.txt").write_text(outline_layouts.yolo_lines(3))


def yolo_of_two_images(root: Path) -> None:
    save_image(root / "images" / f"{STEMS[0]}.png", np.random.default_rng(9), SIZE)


def web_again(root: Path) -> None:
    path = next((root / "Annotations").rglob("*.xml"))
    (root / "Annotations/again").mkdir()
    shutil.copy(path, root / "Annotations/again")


@pytest.mark.parametrize(
    ("build", "again"),
    [
        (outline_layouts.coco_cvat, coco_again),
        (outline_layouts.coco_cvat, coco_of_two_splits),
        (layouts.cvat_images, cvat_again),
        (layouts.label_studio, studio_again),
        (layouts.label_studio_masks, studio_mask_again),
        (layouts.label_studio_masks, studio_image_again),
        (layouts.kaggle, kaggle_again),
        (layouts.supervisely, supervisely_again),
        (outline_layouts.yolo_label_studio, yolo_again),
        (outline_layouts.yolo_label_studio, yolo_of_two_images),
        (outline_layouts.labelme_web, web_again),
    ],
)
def test_two_labels_of_one_image_are_refused(
    build: Callable[[Path], Maps], again: Callable[[Path], None], tmp_path: Path
) -> None:
    build(tmp_path)
    recognise(tmp_path, Choices())
    again(tmp_path)
    with pytest.raises(UserError, match=r"^[^\n]*: [^\n]*$"):
        recognise(tmp_path, Choices())


@pytest.mark.parametrize("form", ["photos", "pictures/a"])
def test_masks_with_the_names_of_coco_images(form: str, tmp_path: Path) -> None:
    images = layouts.photographs(tmp_path / form, ".png")
    categories = [{"id": k, "name": outline_layouts.NAMES[k]} for k in (1, 2, 3)]
    outline_layouts.write_json(tmp_path / "annotations/result.json", outline_layouts.coco_table(images, 0, categories))
    for folder in ("gt", "other"):
        for image in images:
            save_mask(tmp_path / folder / image.name, np.zeros(SIZE, np.uint8))
    assert images_of(recognise(tmp_path, Choices())) == images


def test_two_folders_of_images_with_the_names_of_coco(tmp_path: Path) -> None:
    images = layouts.photographs(tmp_path / "a")
    layouts.photographs(tmp_path / "b", seed=1)
    categories = [{"id": k, "name": outline_layouts.NAMES[k]} for k in (1, 2, 3)]
    outline_layouts.write_json(tmp_path / "result.json", outline_layouts.coco_table(images, 0, categories))
    with pytest.raises(UserError, match=r"may be those in .*a or in .*b"):
        recognise(tmp_path, Choices())


@pytest.mark.parametrize("folder", ["validation", "Val"])
def test_labels_of_yolo_under_another_word_for_the_split(folder: str, tmp_path: Path) -> None:
    images = layouts.photographs(tmp_path / "images/val")
    expected = outline_layouts.maps(images)
    (tmp_path / "labels" / folder).mkdir(parents=True)
    for k, image in enumerate(images):
        (tmp_path / "labels" / folder / f"{image.stem}.TXT").write_text(outline_layouts.yolo_lines(k))
        (tmp_path / "labels" / folder / f"._{image.stem}.txt").write_bytes(b"\0\5\x16\7")
        (tmp_path / "images/val" / f"._{image.name}").write_bytes(b"\0\5\x16\7")
    (tmp_path / "data.yaml").write_text("{val: images/val, names: [car, sky, tree]}")
    layout = recognise(tmp_path, Choices())
    assert layout.splits == {"val": images}
    assert layout.remarks == []
    for image in images:
        np.testing.assert_array_equal(layout.labels(image), expected[image.name])


def test_a_split_of_yolo_without_labels_is_refused(tmp_path: Path) -> None:
    outline_layouts.yolo_roboflow(tmp_path)
    shutil.rmtree(tmp_path / "valid/labels")
    with pytest.raises(UserError, match="no label file for any of the 2 images of the val split"):
        recognise(tmp_path, Choices())


def test_labels_of_images_in_no_list_of_yolo(tmp_path: Path) -> None:
    outline_layouts.yolo_label_studio(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"images/{stem}.jpg\n" for stem in (*STEMS[:4], STEMS[0], "x")))
    (tmp_path / "data.yaml").write_text("{train: train.txt, names: [car, sky, tree]}")
    layout = recognise(tmp_path, Choices())
    assert [image.stem for image in images_of(layout)] == list(STEMS[:4])
    assert layout.remarks == [
        "Images of the lists in data.yaml that were not found and are left out: 1.",
        "Images that are listed again in their split, and are read once: 1.",
        "Labelled images that are in no split of data.yaml and are left out: 2.",
    ]


def test_files_of_two_tools(tmp_path: Path) -> None:
    outline_layouts.labelme_beside(tmp_path)
    old = [tmp_path / f"{stem}.jpg" for stem in STEMS[:2]]
    categories = [{"id": k, "name": outline_layouts.NAMES[k]} for k in (1, 2, 3)]
    outline_layouts.write_json(tmp_path / "0_old.json", outline_layouts.coco_table(old, 0, categories))
    with pytest.raises(UserError, match=r"COCO JSON \(0_old.json\) with 2 images, and LabelMe JSON \(.*\) with 6"):
        recognise(tmp_path, Choices())
    for stem in STEMS[:5]:
        (tmp_path / f"{stem}.json").unlink()
    assert recognise(tmp_path, Choices()).remarks[-1] == (
        f"Not read: LabelMe JSON ({STEMS[5]}.json) with 1 images, 1 of which are labelled only there and are left out."
    )


def test_a_category_of_coco_named_background_in_another_case(tmp_path: Path) -> None:
    expected = outline_layouts.coco_cvat(tmp_path)

    def edit(table: Any) -> None:
        table["categories"][0]["name"] = "BackGround"

    edited(tmp_path / "annotations/instances_default.json", edit)
    layout = recognise(tmp_path, Choices())
    assert layout.classes.names == ("background", "sky", "tree")
    assert layout.in_place is None
    for image in images_of(layout):
        merged = np.array([0, 0, 1, 2], np.uint8)[expected[image.name]]
        np.testing.assert_array_equal(layout.labels(image), merged)


@pytest.mark.parametrize(
    ("build", "file"),
    [
        (layouts.cvat_images, "annotations.xml"),
        (layouts.kaggle, "train.csv"),
        (layouts.supervisely, "meta.json"),
        (outline_layouts.yolo_label_studio, "classes.txt"),
    ],
)
def test_a_label_named_background_in_another_case(build: Callable[[Path], Maps], file: str, tmp_path: Path) -> None:
    expected = build(tmp_path)
    for path in (tmp_path / file, *tmp_path.rglob("ann/*.json")):
        path.write_text(path.read_text().replace("cat", "_BackGround_").replace("car", "_BackGround_"))
    layout = recognise(tmp_path, Choices())
    assert "The label '_BackGround_' is class 0, that of the pixels without an object." in layout.remarks
    for image in images_of(layout):
        merged = np.array([0, 0, 1, 2], np.uint8)[expected[image.name]]
        np.testing.assert_array_equal(layout.labels(image), merged)
