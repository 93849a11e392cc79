"""Covers: data.layouts.labelme_shapes, data.split_paths."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seglight.data import LabelMeDataModule
from seglight.data.dataset import SegmentationDataset
from seglight.data.layouts.labelme_shapes import ShapeCodec
from seglight.errors import UserError
from tests.support import fabricate, outline_layouts
from tests.support.samples import readings, samples

CODEC = ShapeCodec(("background", "cat", "dog"))


@pytest.fixture
def labelme(tmp_path: Path) -> Path:
    return fabricate.labelme(tmp_path / "labelme")


def painted(path: Path, *shapes: dict[str, Any], size: tuple[int, int] = (5, 6)) -> list[list[int]]:
    path.write_text(json.dumps({"imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}))
    mask: list[list[int]] = CODEC.read(path).tolist()
    return mask


def shape(label: str, points: list[tuple[float, float]], kind: str | None = "polygon") -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind}


def test_painted_by_hand(tmp_path: Path) -> None:
    """Edges are inside, a later shape lies over an earlier one, and any two opposite corners make a rectangle."""
    mask = painted(
        tmp_path / "a.json",
        shape("cat", [(1, 1), (3, 1), (3, 3), (1, 3)]),
        shape("dog", [(4, 4), (3, 2)], "rectangle"),
        shape("__ignore__", [(0, 4), (1, 4)], "rectangle"),
        shape("background", [(2, 2), (2, 2)], "rectangle"),
    )
    assert mask == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 0, 2, 2, 0],
        [0, 1, 1, 2, 2, 0],
        [255, 255, 0, 2, 2, 0],
    ]


def test_a_circle_by_hand(tmp_path: Path) -> None:
    """By its centre (x, y) and a point on it."""
    mask = np.array(painted(tmp_path / "a.json", shape("cat", [(5, 4), (5, 7)], "circle"), size=(9, 11)))
    y, x = np.mgrid[:9, :11]
    distance = np.hypot(x - 5, y - 4)
    assert (mask[distance <= 3] == 1).all()
    assert (mask[distance >= 4] == 0).all()


def test_the_first_labelme_named_no_kind(tmp_path: Path) -> None:
    bare = {"label": "dog", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    assert painted(tmp_path / "a.json", bare, size=(3, 3)) == [[2, 2, 0], [2, 2, 0], [0, 0, 0]]
    assert painted(tmp_path / "a.json", {**bare, "shape_type": None}, size=(2, 2)) == [[2, 2], [2, 2]]
    assert painted(tmp_path / "a.json", size=(1, 2)) == [[0, 0]]


def test_shapes_of_the_samples_are_those_of_labelme(tmp_path: Path) -> None:
    """LabelMe's `shape_to_mask` counted the pixels of each shape alone, and of all in the order of the file."""
    told = readings(samples())["labelme-json/facade-made"]
    codec = ShapeCodec(("_background_", "facade", "window", "lamp", "edge", "dot", "tree"))
    path = samples() / "labelme-json/facade-made/all_shapes.json"
    table = json.loads(path.read_text())
    for one, expected in zip(table["shapes"], told["all_shapes"]["each"], strict=True):
        (tmp_path / "one.json").write_text(json.dumps({**table, "shapes": [one]}))
        assert (codec.read(tmp_path / "one.json") > 0).sum() == expected["pixels_alone"], one["shape_type"]
    for name in ("all_shapes", "old_3x"):
        mask = codec.read(path.with_name(f"{name}.json"))
        assert mask.shape == (360, 480)
        expected = told[name]["painted_in_file_order"]
        numbers = {label: int((mask == codec.index_of(label)).sum()) for label in expected if label in codec.names}
        background = int((mask == codec.index_of("__background__")).sum())
        assert {"__background__": background, **numbers} == expected


def test_masks_by_hand(tmp_path: Path) -> None:
    """Corners of a mask are inclusive, holes show what is below, and what lies outside the image is cut off."""
    ring = np.full((3, 3), 255, np.uint8)
    ring[1, 1] = 0
    buffer = io.BytesIO()
    Image.fromarray(ring).save(buffer, "PNG")
    pixels = base64.b64encode(buffer.getvalue()).decode()
    mask = painted(
        tmp_path / "a.json",
        shape("cat", [(1, 0), (3, 4)], "rectangle"),
        {**shape("dog", [(1, 1), (3, 3)], "mask"), "mask": pixels},
        {**shape("dog", [(-1, 3), (1, 5)], "mask"), "mask": pixels},
    )
    assert mask == [
        [0, 1, 1, 1, 0, 0],
        [0, 2, 2, 2, 0, 0],
        [0, 2, 1, 2, 0, 0],
        [2, 2, 2, 2, 0, 0],
        [0, 2, 1, 1, 0, 0],
    ]
    with pytest.raises(UserError, match="the mask 'dog' of 3x3 pixels has another size than its corners: draw it as"):
        painted(tmp_path / "a.json", {**shape("dog", [(1, 1), (3, 4)], "mask"), "mask": pixels})
    with pytest.raises(UserError, match="the mask 'dog' has no pixels: draw it as"):
        painted(tmp_path / "a.json", shape("dog", [(1, 1), (3, 3)], "mask"))


def test_a_rotated_rectangle_is_a_polygon(tmp_path: Path) -> None:
    corners: list[tuple[float, float]] = [(2, 0), (4, 2), (2, 4), (0, 2)]
    mask = painted(tmp_path / "a.json", shape("cat", corners, "oriented_rectangle"))
    assert mask == painted(tmp_path / "b.json", shape("cat", corners))
    assert mask == [[int(abs(x - 2) + abs(y - 2) <= 2) for x in range(6)] for y in range(5)]


def test_a_file_without_sizes_has_those_of_its_image(labelme: Path) -> None:
    path = labelme / "val/000.json"
    table = json.loads(path.read_text())
    expected = CODEC.read(path)
    del table["imageWidth"], table["imageHeight"]
    path.write_text(json.dumps(table))
    assert (CODEC.read(path) == expected).all()
    path.write_text(json.dumps({**table, "imagePath": "..\\train\\000.jpg"}))
    (labelme / "val/000.jpg").unlink()
    assert (CODEC.read(path) == expected).all()
    (labelme / "train/000.jpg").unlink()
    with pytest.raises(UserError, match=r"not a file of LabelMe .*no imageWidth, no imageHeight, and its image was"):
        CODEC.read(path)


def test_names_of_the_background(tmp_path: Path) -> None:
    points: list[tuple[float, float]] = [(0, 0), (1, 0), (1, 1), (0, 1)]
    over = [shape("cat", points), shape("_background_", points)]
    assert painted(tmp_path / "a.json", *over, size=(2, 2)) == [[0, 0], [0, 0]]
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match=r"the label '_background_' is not a class .sky, cat"):
        ShapeCodec(("sky", "cat")).read(path)


def test_files_name_their_images(tmp_path: Path) -> None:
    """JSON files in folders of their own, with paths of Windows; images without a file are left out."""
    expected = outline_layouts.labelme_apart(tmp_path)
    classes = [{"name": name, "color": [k, k, k]} for k, name in enumerate(outline_layouts.NAMES)]
    (tmp_path / "classes.yaml").write_text(json.dumps({"classes": classes}))
    shutil.copy(tmp_path / "images/val/street_004.jpg", tmp_path / "images/val/unlabelled.jpg")
    datamodule = LabelMeDataModule(str(tmp_path), shapes="labels/{split}")
    found = {
        Path(pairs.read(k)[2]).name: pairs.read(k)[1]
        for pairs in map(datamodule.split, ("train", "val"))
        for k in range(len(pairs))
    }
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)
    by_split = LabelMeDataModule(str(tmp_path), shapes={"train": "labels/train"})
    with pytest.raises(UserError, match=r"data.shapes names nothing for the val split, only for train"):
        by_split.split("val")
    with pytest.raises(UserError, match=r"images: no file of LabelMe in it: set data.shapes"):
        LabelMeDataModule(str(tmp_path), shapes="images").split("val")
    (tmp_path / "images/train/street_000.jpg").unlink()
    with pytest.raises(UserError, match=r"street_000.json: its image was not found below .* \(1 files have none\)"):
        datamodule.split("train")


def test_a_data_set(labelme: Path) -> None:
    datamodule = LabelMeDataModule(str(labelme))
    assert datamodule.class_names == ["background", "cat", "dog"]
    for split, length in (("train", 4), ("val", 2), ("test", 2)):
        pairs = datamodule.split(split)
        assert len(pairs) == length
        image, mask, name = pairs.read(0)
        assert name == str(labelme / split / "000.jpg")
        assert (image == fabricate.raw(Path(name))).all()
        assert (mask[18, 36], mask[20, 12], mask[6, 6], mask[0, 1], mask[35, 47]) == (2, 2, 1, 255, 0)


def test_classes_may_lie_elsewhere(labelme: Path, tmp_path: Path) -> None:
    (labelme / "classes.yaml").rename(tmp_path / "names.yaml")
    assert LabelMeDataModule(str(labelme), classes=str(tmp_path / "names.yaml")).num_classes == 3
    with pytest.raises(UserError, match=rf"^{labelme}/classes.yaml: no such file"):
        LabelMeDataModule(str(labelme))


def test_an_unknown_label_is_reported_with_its_remedy(tmp_path: Path) -> None:
    told = r"a.json: the label 'cats' is not a class \(background, cat, dog\): correct it, add it to the classes"
    with pytest.raises(UserError, match=told):
        painted(tmp_path / "a.json", shape("cats", [(0, 0), (1, 0), (1, 1)]))


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("line", 3),
        ("point", 2),
        ("linestrip", 1),
        ("mask", 1),
        ("polygon", 2),
        ("rectangle", 1),
        ("circle", 3),
        ("oriented_rectangle", 3),
        ("rotation", 3),
    ],
)
def test_shapes_without_an_area_are_reported(tmp_path: Path, kind: str, points: int) -> None:
    with pytest.raises(UserError, match=rf"a.json: a shape 'cat' of kind '{kind}' and {points} points covers no known"):
        painted(tmp_path / "a.json", shape("cat", [(0, 0), (2, 0), (2, 2)][:points], kind))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"imageHeight": null, "imageWidth": 4, "shapes": []}'])
def test_a_file_of_another_kind_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=rf"^{tmp_path}/a.json: not a file of LabelMe .*: save it there again"):
        CODEC.read(tmp_path / "a.json")


def test_missing_and_surplus_files_are_named(labelme: Path) -> None:
    datamodule = LabelMeDataModule(str(labelme))
    (labelme / "val/001.jpg").unlink()
    with pytest.raises(UserError, match=r"val/001.json: no image of this name"):
        datamodule.split("val")
    (labelme / "test/000.json").unlink()
    with pytest.raises(UserError, match=r"test/000.jpg: its mask .*test/000.json is missing"):
        datamodule.split("test")


def test_a_file_of_another_size_than_its_image_is_reported(labelme: Path) -> None:
    painted(labelme / "val/000.json", size=(48, 36))
    with pytest.raises(UserError, match=r"val/000.jpg: the image is 36x48 and its mask 48x36"):
        SegmentationDataset(LabelMeDataModule(str(labelme)).split("val"))[0, 0]
