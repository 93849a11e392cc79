"""Covers: data.layouts.label_studio_config, data.layouts.label_studio_masks,
data.layouts.label_studio_tasks.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle

from seglight.data.layouts.label_studio import recognise_label_studio
from seglight.data.layouts.label_studio_masks import recognise_label_studio_masks
from seglight.data.layouts.layout import Choices, Layout
from seglight.errors import UserError
from seglight.images.brush import brush_pixels
from tests.support.fabricate import save_image, save_mask
from tests.support.layouts import (
    SIZE,
    STUDIO_CONFIG,
    brush,
    corners,
    label_studio,
    label_studio_masks,
    percent,
    studio_result,
    studio_task,
)
from tests.support.samples import readings, samples

CAT = studio_result("polygonlabels", "cat", {"points": percent(corners(4, 4, 20, 20)), "closed": True})
DOG = studio_result("polygonlabels", "dog", {"points": percent(corners(10, 10, 30, 30)), "closed": True})
BOX = studio_result("rectanglelabels", "dog", {"x": 12.5, "y": 25.0, "width": 50.0, "height": 50.0, "rotation": 0})


def read(root: Path, boxes: str = "ignore") -> Layout:
    layout = recognise_label_studio(root, Choices("fill" if boxes == "fill" else "ignore"))
    assert layout is not None
    return layout


def write(root: Path, tasks: Any, config: str = "", name: str = "export.json") -> None:
    (root / name).write_text(json.dumps(tasks))
    if config:
        (root / "label_config.xml").write_text(config)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "images/0a1b2c3d-a.png"
    save_image(path, np.random.default_rng(0), SIZE)
    return path


def of_one(image: Path, *result: dict[str, object], boxes: str = "ignore", **more: object) -> tuple[Layout, Any]:
    """An export of one task with these regions, and its label map."""
    write(image.parents[1], [studio_task(1, image.name, list(result), **more)])
    layout = read(image.parents[1], boxes)
    return layout, layout.labels(image)


def square(value: int, left: int, top: int, right: int, bottom: int, onto: Any = None) -> NDArray[np.uint8]:
    mask: NDArray[np.uint8] = np.zeros(SIZE, np.uint8) if onto is None else onto.copy()
    mask[top:bottom, left:right] = value
    return mask


def test_a_polygon_and_a_brush(tmp_path: Path) -> None:
    maps = label_studio(tmp_path)
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "cat", "dog")
    assert layout.classes.palette == ((0, 0, 0), (200, 40, 40), (40, 200, 40))
    assert not layout.remarks
    assert {image.name for image in layout.splits["all"]} == maps.keys()
    for image in layout.splits["all"]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])


def test_a_real_export() -> None:
    root = samples() / "label-studio/brush-made"
    layout = read(root)
    (image,) = layout.splits["all"]
    assert image.name == "facade_c.jpg"  # the task says 0a1b2c3d-facade_c.jpg
    assert layout.classes.names == ("background", "facade", "fence", "vegetation", "window")
    # the tool's own PNGs of its brushes in the order of the regions, then the polygon
    expected = np.zeros((400, 400), np.uint8)
    for label in ("facade", "window", "vegetation"):
        with Image.open(root / f"brush-png/task-1-annotation-2-by-1-tag-{label}-0.png") as png:
            expected[np.asarray(png) > 0] = layout.classes.names.index(label)
    points = [40.0, 80.0, 142.0, 80.0, 142.0, 241.0, 40.0, 241.0]  # 10, 20, 35.5 and 60.25 per cent of 400
    expected[rle.decode(rle.frPyObjects([points], 400, 400))[..., 0] == 1] = 2
    np.testing.assert_array_equal(layout.labels(image), expected)


def test_the_tools_own_masks_of_brushes(tmp_path: Path) -> None:
    root = samples() / "label-studio/brush-made"
    right = readings(samples())["label-studio/brush-made"]["facade_c.jpg"]["brush_pixels"]
    for result in json.loads((root / "project-1-at-2024-01-01.json").read_text())[0]["annotations"][0]["result"][:3]:
        pixels = brush_pixels(bytes(result["value"]["rle"]), 400, 400)
        assert pixels.sum() == right[result["value"]["brushlabels"][0]]
    (tmp_path / "masks").symlink_to(root / "brush-png")
    (tmp_path / "images").symlink_to(root / "images")
    layout = recognise_label_studio_masks(tmp_path, Choices())
    assert layout is not None
    assert layout.classes.names == ("background", "facade", "vegetation", "window")
    mask = layout.labels(tmp_path / "images/facade_c.jpg")
    assert (mask == 3).sum() == right["window"]  # the last label lies on top


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (brush(np.ones((4, 4), bool)), "a brush of 64 values, where 64x48 pixels have 12288"),
        (brush(np.ones(SIZE, bool))[:8], "runs that end"),
        ([], "a brush of 0 values"),
    ],
)
def test_broken_brushes_are_one_line(image: Path, value: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        of_one(image, studio_result("brushlabels", "cat", {"format": "rle", "rle": value}))


def test_later_regions_cover_earlier_ones(image: Path) -> None:
    layout, mask = of_one(image, CAT, DOG)
    assert layout.classes.names == ("background", "cat", "dog")
    np.testing.assert_array_equal(mask, square(2, 10, 10, 30, 30, square(1, 4, 4, 20, 20)))


def test_rectangles_by_choice(image: Path) -> None:
    layout, mask = of_one(image, CAT, BOX)
    np.testing.assert_array_equal(mask, square(1, 4, 4, 20, 20, square(255, 8, 12, 40, 36)))
    assert (
        "Rectangles without an outline: 1; their pixels are ignored, except those of other regions." in layout.remarks
    )
    _, mask = of_one(image, CAT, BOX, boxes="fill")
    np.testing.assert_array_equal(mask, square(2, 8, 12, 40, 36, square(1, 4, 4, 20, 20)))


def test_an_ellipse_is_filled(image: Path) -> None:
    value = {"x": 50.0, "y": 50.0, "radiusX": 25.0, "radiusY": 12.5, "rotation": 0}  # centre 32, 24, radii 16 and 6
    _, mask = of_one(image, studio_result("ellipselabels", "cat", value))
    y, x = np.indices(SIZE) + 0.5
    inside = ((x - 32) / 16) ** 2 + ((y - 24) / 6) ** 2
    assert (mask[inside < 0.8] == 1).all()
    assert not mask[inside > 1.25].any()


def test_regions_without_area_are_counted(image: Path) -> None:
    key_point = studio_result("keypointlabels", "eye", {"x": 1.0, "y": 1.0, "width": 0.5})
    line = studio_result("polygonlabels", "cat", {"points": percent(corners(4, 4, 20, 20)), "closed": False})
    dot = studio_result("polygonlabels", "cat", {"points": [[1.0, 1.0], [2.0, 2.0]], "closed": True})
    answer = {"value": {"choices": ["good"]}, "id": "c", "type": "choices", "from_name": "q", "to_name": "image"}
    layout, _ = of_one(image, CAT, key_point, line, dot, answer)
    assert layout.classes.names == ("background", "cat")
    assert layout.remarks == [
        "Left out because they have no pixels: choices (1).",
        "Left out because they cover no area: key points (1), polygons of fewer than three points (1), polylines (1).",
    ]


def test_separate_labels_and_regions_without_a_label(image: Path) -> None:
    geometry = {"points": percent(corners(4, 4, 20, 20)), "closed": True}
    bare = studio_result("polygon", "", geometry, id="r1")
    layout, mask = of_one(image, bare, studio_result("labels", "cat", geometry, id="r1"))
    np.testing.assert_array_equal(mask, square(1, 4, 4, 20, 20))
    assert not layout.remarks
    several = studio_result("polygonlabels", "", {**DOG["value"], "polygonlabels": ["cat", "dog"]}, id="r2")  # type: ignore[dict-item]
    layout, mask = of_one(image, CAT, several)
    np.testing.assert_array_equal(mask, square(255, 10, 10, 30, 30, square(1, 4, 4, 20, 20)))
    assert layout.remarks == ["Regions without a label, or with several, whose pixels are ignored: 1."]


def annotation(result: list[dict[str, object]], updated: str, **more: object) -> dict[str, object]:
    return {"id": 1, "result": result, "was_cancelled": False, "ground_truth": False, "updated_at": updated, **more}


def test_the_annotation_that_is_read(image: Path) -> None:
    first, last = annotation([CAT], "2024-01-02"), annotation([DOG], "2024-01-03")
    layout, mask = of_one(image, annotations=[last, first])
    assert layout.classes.names == ("background", "dog")
    assert mask[15, 15] == 1
    assert layout.remarks == [
        "Tasks with several annotations: 1; the ground truth is read, or else the one changed last."
    ]
    layout, _ = of_one(image, annotations=[{**first, "ground_truth": True}, last])
    assert layout.classes.names == ("background", "cat")
    layout, _ = of_one(image, annotations=[first, {**last, "was_cancelled": True}])
    assert layout.classes.names == ("background", "cat")
    assert not layout.remarks


def test_predictions_only_without_annotations(image: Path) -> None:
    prediction = {"result": [DOG], "model_version": "1", "created_at": "2024"}
    layout, _ = of_one(image, annotations=[], predictions=[prediction])
    assert layout.classes.names == ("background", "dog")
    assert layout.remarks == ["No task has an annotation: the predictions of a model are the labels."]
    save_image(image.with_name("b.png"), np.random.default_rng(0), SIZE)
    tasks = [
        studio_task(1, image.name, [CAT]),
        studio_task(2, "b.png", [], annotations=[], predictions=[prediction]),
    ]
    write(image.parents[1], tasks)
    layout = read(image.parents[1])
    assert layout.splits == {"all": [image]}
    assert layout.remarks == ["Tasks that are not annotated, or cancelled, and are left out: 1."]


def test_an_annotation_without_regions_is_background(image: Path) -> None:
    save_image(image.with_name("b.png"), np.random.default_rng(0), (20, 30))
    write(image.parents[1], [studio_task(1, image.name, [CAT]), studio_task(2, "b.png", [])])
    np.testing.assert_array_equal(read(image.parents[1]).labels(image.with_name("b.png")), np.zeros((20, 30)))


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/1/0a1b2c3d-a.png",
        "/data/upload/1/ffffffff-0a1b2c3d-a.png",
        "/data/local-files/?d=set%2Fimages/0a1b2c3d-a.png",
        "s3://bucket/some/0a1b2c3d-a.png",
        "https://host/x/0a1b2c3d-a.png?token=1.jpg",
        "images/0a1b2c3d-a.png",
        "C:\\images\\0a1b2c3d-a.png",
    ],
)
def test_addresses_of_images(image: Path, url: str) -> None:
    layout, _ = of_one(image, CAT, data={"text": "a cat", "photo": url}, file_upload=None)
    assert layout.splits == {"all": [image]}


def test_the_configuration_names_the_image(image: Path) -> None:
    save_image(image.with_name("other.png"), np.random.default_rng(0), SIZE)
    task = studio_task(1, image.name, [CAT], data={"thumb": "other.png", "photo": image.name})
    write(image.parents[1], [task], STUDIO_CONFIG.replace("$image", "$photo"))
    assert read(image.parents[1]).splits == {"all": [image]}


def minimal(number: int, image: Path, updated: str, *result: dict[str, Any]) -> dict[str, object]:
    """An entry of JSON-MIN: values without their frames."""
    keys = ("original_width", "original_height")
    tag = [{**one["value"], **{key: one[key] for key in keys}} for one in result]
    return {
        "image": f"/data/upload/1/{image.name}", "id": number, "tag": tag, "annotator": 1, "annotation_id": number,
        "created_at": "2024", "updated_at": updated, "lead_time": 1.0,
    }  # fmt: skip


def test_json_min(image: Path) -> None:
    pixels = np.zeros(SIZE, bool)
    pixels[10:30, 10:30] = True
    stroke = studio_result("brushlabels", "dog", {"format": "rle", "rle": brush(pixels)})
    write(image.parents[1], [minimal(1, image, "2024-02", CAT, stroke), minimal(1, image, "2024-01", DOG)])
    layout = read(image.parents[1])
    np.testing.assert_array_equal(layout.labels(image), square(2, 10, 10, 30, 30, square(1, 4, 4, 20, 20)))
    assert "Tasks with several annotations: 1" in layout.remarks[0]


def test_files_by_split(image: Path) -> None:
    save_image(image.with_name("b.png"), np.random.default_rng(0), SIZE)
    write(image.parents[1], [studio_task(1, image.name, [CAT])], name="train.json")
    write(image.parents[1], [studio_task(2, "b.png", [DOG])], name="val.json")
    assert read(image.parents[1]).splits == {"train": [image], "val": [image.with_name("b.png")]}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({**CAT, "image_rotation": 90}, "an image that was rotated by 90 degrees"),
        ({**CAT, "original_width": None}, "not a JSON export of Label Studio"),
        ({**CAT, "original_width": 10**9, "original_height": 10**9}, "can't be painted"),
        (studio_result("brushlabels", "cat", {"rle": [1, 999]}), "not a JSON export of Label Studio"),
        (studio_result("polygonlabels", "cow", {"points": percent(corners(1, 1, 9, 9))}), "the label 'cow' is not in"),
    ],
)
def test_broken_regions_are_one_line(image: Path, result: dict[str, object], message: str) -> None:
    (image.parents[1] / "label_config.xml").write_text(STUDIO_CONFIG)
    with pytest.raises(UserError, match=message) as caught:
        of_one(image, result)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([studio_task(1, "gone.png", [CAT])], "none of its 1 images, such as '/data/upload/1/gone.png'"),
        ([studio_task(k, "0a1b2c3d-a.png", [CAT]) for k in (1, 2)], "the tasks 1 and 2 are both of the image"),
        ([{"result": [CAT], "model_version": "yolo"}], "an entry with the keys model_version, result is not a task"),
        ([studio_task(1, "0a1b2c3d-a.png", [CAT, {**DOG, "original_width": 60}])], "are for images of 60x48 and 64x48"),
        ([studio_task(1, "0a1b2c3d-a.png", [])], "0 classes beside the background"),
        ([studio_task(3, "", [CAT], data={"text": "a.b"})], "the task 3 names no image: export a project of images"),
        ([studio_task(1, "x.png", [CAT]), 7], "not a JSON export of Label Studio"),
    ],
)
def test_broken_exports_are_one_line(image: Path, tasks: list[Any], message: str) -> None:
    write(image.parents[1], tasks)
    with pytest.raises(UserError, match=message) as caught:
        read(image.parents[1]).labels(image)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off(image: Path) -> None:
    text = json.dumps([studio_task(1, image.name, [CAT])])
    for end in (len(text) - 1, len(text) - 9):
        (image.parents[1] / "a.json").write_text(text[:end])
        with pytest.raises(UserError, match="not a JSON export of Label Studio"):
            read(image.parents[1])


def test_other_json_is_of_another_layout(tmp_path: Path) -> None:
    write(tmp_path, {"images": [], "annotations": [], "categories": []})
    write(tmp_path, [{"name": "a"}], name="b.json")
    assert recognise_label_studio(tmp_path, Choices()) is None
    assert recognise_label_studio_masks(tmp_path, Choices()) is None


def test_masks_by_label(tmp_path: Path) -> None:
    maps = label_studio_masks(tmp_path)
    save_mask(tmp_path / "export/task-1-annotation-3-by-1-tag-dog-0.png", np.full(SIZE, 255, np.uint8))
    layout = recognise_label_studio_masks(tmp_path, Choices())
    assert layout is not None
    assert layout.classes.names == ("background", "cat", "dog")
    assert {image.name for image in layout.splits["all"]} == maps.keys()
    for image in layout.splits["all"]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])
    assert "Masks of earlier annotations of a task, which are left out: 1." in layout.remarks


def test_masks_of_tasks_whose_images_are_not_known(tmp_path: Path) -> None:
    label_studio_masks(tmp_path)
    (tmp_path / "images/1.jpg").rename(tmp_path / "images/a.jpg")
    with pytest.raises(UserError, match="masks state the number of a task, 1, and not its image"):
        recognise_label_studio_masks(tmp_path, Choices())


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    label_studio_masks(tmp_path)
    save_mask(tmp_path / "export/task-1-annotation-7-by-1-tag-cat-0.png", np.zeros((9, 7), np.uint8))
    layout = recognise_label_studio_masks(tmp_path, Choices())
    assert layout is not None
    with pytest.raises(UserError, match=r"a mask of 7x9 pixels for .*1\.jpg of 64x48"):
        layout.labels(tmp_path / "images/1.jpg")


def test_labels_with_hyphens(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", np.random.default_rng(0), SIZE)
    save_mask(tmp_path / "m/task-5-annotation-7-by-a@b.c-my-tag-traffic-light-0.png", np.full(SIZE, 255, np.uint8))
    config = STUDIO_CONFIG.replace('name="tag"', 'name="my-tag"').replace('"cat"', '"traffic-light"')
    (tmp_path / "label_config.xml").write_text(config)
    layout = recognise_label_studio_masks(tmp_path, Choices())
    assert layout is not None
    assert (layout.labels(tmp_path / "a.jpg") == 1).all()
    assert layout.classes.names == ("background", "traffic-light", "dog")
