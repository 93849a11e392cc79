"""Descriptions with one class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from seglight.data.class_files import read_classes
from seglight.data.classes import Classes
from seglight.data.datamodule import SegmentationDataModule
from seglight.errors import UserError

ROAD = {"name": "road", "color": [200, 40, 40]}


def description(root: Path, **keys: Any) -> Path:
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": [ROAD], **keys}))
    return root / "classes.yaml"


@pytest.mark.parametrize("values", [[0, 1], [0, 255], [0, 1, 255]])
def test_masks_of_zeros_and_ones(values: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_classes(description(tmp_path))
    assert found.classes == Classes(("background", "road"), ((0, 0, 0), (200, 40, 40)))
    raw = np.random.default_rng(0).choice(values, (9, 7)).astype(np.uint8)
    Image.fromarray(raw).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(found.codec.read(tmp_path / "mask.png"), raw > 0)
    line = "one class, 'road', which works as two: background and road"
    assert capsys.readouterr().err.strip().endswith(f"{tmp_path / 'classes.yaml'}: {line}")


def test_255_may_be_ignored(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "mask.png")
    assert read_classes(description(tmp_path, ignore=255)).codec.read(tmp_path / "mask.png").tolist() == [[0, 1, 255]]


def test_colours(tmp_path: Path) -> None:
    pixels = np.array([[(0, 0, 0), (200, 40, 40)]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert read_classes(description(tmp_path, labels="color")).codec.read(tmp_path / "mask.png").tolist() == [[0, 1]]


def test_the_background_alone_is_refused(tmp_path: Path) -> None:
    path = description(tmp_path)
    path.write_text(yaml.safe_dump({"classes": [ROAD | {"name": "background"}]}))
    with pytest.raises(UserError, match="the only class is background"):
        read_classes(path)


def test_a_data_module_needs_two_classes() -> None:
    with pytest.raises(UserError, match="1 classes: there must be 2 to 4096"):
        SegmentationDataModule(Classes(("road",), ((1, 2, 3),)), 2, 1, 0, 0)
