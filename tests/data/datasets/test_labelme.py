import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.data import LabelMeDataModule
from seglight.data.datamodule import SegmentationDataset
from seglight.data.datasets.labelme import ShapeCodec
from seglight.errors import UserError
from tests.support import fabricate

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
    [("line", 2), ("point", 1), ("linestrip", 3), ("mask", 2), ("polygon", 2), ("rectangle", 1), ("circle", 3)],
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
