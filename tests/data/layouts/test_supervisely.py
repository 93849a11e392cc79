"""Covers: data.layouts.json_file."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.supervisely import recognise_supervisely
from seglight.errors import UserError
from tests.support.fabricate import save_image
from tests.support.layouts import (
    SIZE,
    SLY_META,
    corners,
    sly_annotation,
    sly_bitmap,
    sly_object,
    sly_polygon,
    supervisely,
)
from tests.support.samples import readings, samples


def read(root: Path, boxes: str = "ignore") -> Layout:
    layout = recognise_supervisely(root, Choices("fill" if boxes == "fill" else "ignore"))
    assert layout is not None
    return layout


def put(root: Path, name: str, annotation: Any, folder: str = "ds", meta: Any = SLY_META) -> Path:
    """A project with an image and its annotation."""
    image = root / folder / "img" / name
    save_image(image, np.random.default_rng(0), SIZE)
    (root / folder / "ann").mkdir(exist_ok=True)
    (root / folder / "ann" / f"{name}.json").write_text(json.dumps(annotation))
    (root / "meta.json").write_text(json.dumps(meta))
    return image


def mask_of(root: Path, *objects: dict[str, Any], boxes: str = "ignore") -> NDArray[np.uint8]:
    image = put(root, "a.jpg", sly_annotation(*objects))
    return read(root, boxes).labels(image)


def test_a_polygon_and_a_bitmap(tmp_path: Path) -> None:
    maps = supervisely(tmp_path)
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "cat", "dog")
    assert layout.classes.palette == ((0, 0, 0), (200, 40, 40), (40, 200, 40))
    assert not layout.remarks
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 4, "val": 2}
    for image in [*layout.splits["train"], *layout.splits["val"]]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])


def test_a_real_project() -> None:
    layout = read(samples() / "supervisely/facade-made")
    right = readings(samples())["supervisely/facade-made"]
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 1, "val": 2}
    assert layout.classes.names[10] == "window"  # its number in meta.json is 10, too
    for split, images in layout.splits.items():
        for image in images:
            values, counts = np.unique(layout.labels(image), return_counts=True)
            found = {str(value): int(count) for value, count in zip(values, counts, strict=True)}
            assert found == right[f"{split}/{image.name}"]["painted_in_file_order_pixels"]


@pytest.mark.parametrize("mode", ["P", "RGBA", "L"])
def test_bitmaps(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).random((20, 30)) < 0.5
    expected = np.zeros(SIZE, np.uint8)
    expected[10:30, 40:] = np.where(pixels, 2, 0)[:, :24]  # cut off at the border
    bitmap = {"data": sly_bitmap(pixels, mode), "origin": [40, 10]}
    np.testing.assert_array_equal(mask_of(tmp_path, sly_object("bitmap", "dog", bitmap=bitmap)), expected)
    plain = base64.b64encode(zlib.decompress(base64.b64decode(bitmap["data"]))).decode()
    old = {"classTitle": "dog", "bitmap": {"data": plain, "origin": [40, 10]}, "points": None}
    np.testing.assert_array_equal(mask_of(tmp_path, old), expected)


def test_holes_and_order(tmp_path: Path) -> None:
    ring = sly_object(
        "polygon", "cat",
        points={"exterior": corners(10, 10, 29, 29), "interior": [corners(14, 14, 20, 20), corners(24, 24, 26, 26)]},
    )  # fmt: skip
    expected = np.zeros(SIZE, np.uint8)
    expected[2:26, 2:26] = 2
    expected[10:30, 10:30] = 1
    expected[14:21, 14:21] = 2  # what lies behind a hole stays
    expected[24:26, 24:26] = 2
    expected[24:27, 26:27] = expected[26:27, 24:27] = 0  # and the hole's edges belong to the hole
    np.testing.assert_array_equal(mask_of(tmp_path, sly_polygon("dog", 2, 2, 26, 26), ring), expected)


def test_rectangles_by_choice(tmp_path: Path) -> None:
    box = sly_object("rectangle", "dog", points={"exterior": [[29, 35], [8, 12]], "interior": []})
    cat = sly_polygon("cat", 4, 4, 20, 20)
    expected = np.zeros(SIZE, np.uint8)
    expected[12:36, 8:30] = 255
    expected[4:20, 4:20] = 1
    np.testing.assert_array_equal(mask_of(tmp_path, cat, box), expected)
    assert read(tmp_path).remarks == [
        "Rectangles without an outline: 1; their pixels are ignored, except those of other objects."
    ]
    expected[12:36, 8:30] = 2
    np.testing.assert_array_equal(mask_of(tmp_path, cat, box, boxes="fill"), expected)


def test_lines_and_points_are_counted(tmp_path: Path) -> None:
    line = sly_object("line", "cat", points={"exterior": [[1, 1], [9, 9]], "interior": []})
    point = sly_object("point", "cat", points={"exterior": [[1, 1]], "interior": []})
    short = sly_object("polygon", "cat", points={"exterior": [[1, 1], [9, 9]], "interior": []})
    assert not mask_of(tmp_path, line, point, line, short).any()
    assert read(tmp_path).remarks == [
        "Left out because they cover no area: lines (2), points (1), polygons of fewer than three points (1).",
        "Images without an object, which are background: 1.",
    ]


def test_classes_by_number_and_without_area(tmp_path: Path) -> None:
    meta = {**SLY_META, "classes": [*SLY_META["classes"], {"title": "eye", "shape": "point", "color": "#000000"}]}
    polygon = sly_polygon("cat", 4, 4, 20, 20)
    del polygon["classTitle"]
    image = put(tmp_path, "a.jpg", sly_annotation(polygon), meta=meta)
    assert read(tmp_path).classes.names == ("background", "cat", "dog")
    assert read(tmp_path).labels(image)[10, 10] == 1


def test_splits_by_data_set_inside_another_and_by_tags(tmp_path: Path) -> None:
    cat = sly_polygon("cat", 4, 4, 20, 20)
    train = put(tmp_path, "a.jpg", sly_annotation(cat), "street/datasets/train")
    val = put(tmp_path, "a.jpg", sly_annotation(cat), "street/datasets/val")
    assert read(tmp_path).splits == {"train": [train], "val": [val]}
    tagged = put(tmp_path, "b.jpg", sly_annotation(cat, tags=["rain", "test"]), "more")
    assert read(tmp_path).splits == {"train": [train], "val": [val], "test": [tagged]}


def test_missing_images_and_annotations_are_counted(tmp_path: Path) -> None:
    image = put(tmp_path, "a.jpg", sly_annotation(sly_polygon("cat", 4, 4, 20, 20)))
    save_image(image.with_name("bare.jpg"), np.random.default_rng(0), SIZE)
    (tmp_path / "ds/ann/gone.jpg.json").write_text(json.dumps(sly_annotation()))
    layout = read(tmp_path)
    assert layout.splits == {"all": [image]}
    assert layout.remarks == [
        "Annotations whose image was not found, and which are left out: 1.",
        "Images without an annotation, which are left out: 1.",
    ]


def test_images_elsewhere(tmp_path: Path) -> None:
    image = put(tmp_path, "a.jpg", sly_annotation(sly_polygon("cat", 4, 4, 20, 20)))
    moved = tmp_path / "pictures/a.jpg"
    moved.parent.mkdir()
    image.rename(moved)
    assert read(tmp_path).splits == {"all": [moved]}
    moved.unlink()
    with pytest.raises(UserError, match="none of its 1 images"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (sly_polygon("cow", 1, 1, 9, 9), "of the class 'cow', which is not in meta.json"),
        (sly_object("blob", "cat"), "an object of the unknown kind 'blob'"),
        (sly_object("polygon", "cat", points=None), "not an annotation of Supervisely"),
        (sly_object("bitmap", "cat", bitmap={"data": "AAAA", "origin": [0, 0]}), "an object can't be painted"),
        (sly_object("bitmap", "cat", bitmap={"origin": [0, 0]}), "an object can't be painted"),
        (sly_object("bitmap", "cat", bitmap={"data": "x", "origin": [0, "a"]}), "an object can't be painted"),
    ],
)
def test_broken_objects_are_one_line(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        mask_of(tmp_path, entry)
    assert "\n" not in str(caught.value)


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    image = put(tmp_path, "a.jpg", {"objects": []})
    with pytest.raises(UserError, match=r"a.jpg.json: an object can't be painted \(KeyError 'size'\)"):
        read(tmp_path).labels(image)
    (tmp_path / "ds/ann/a.jpg.json").write_text("{")
    with pytest.raises(UserError, match=r"a.jpg.json: not readable as JSON"):
        read(tmp_path)
    (tmp_path / "meta.json").write_text('{"classes": 1}')
    with pytest.raises(UserError, match="does not list classes as Supervisely does"):
        read(tmp_path)


def test_other_folders_are_of_another_layout(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{}")
    assert recognise_supervisely(tmp_path, Choices()) is None
