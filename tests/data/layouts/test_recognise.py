"""Covers: data.layouts.layout."""

from pathlib import Path

import pytest
from PIL import Image

from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        recognise(tmp_path / "nowhere", Choices())


def test_a_folder_of_no_known_layout(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match="no labelled data set of a known layout"):
        recognise(tmp_path, Choices())


def test_the_layouts_that_are_known_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"give one of images with masks as PNG, .* COCO JSON, LabelMe") as caught:
        recognise(tmp_path, Choices())
    assert "docs/" not in str(caught.value), "which an installed package does not have"


@pytest.mark.parametrize("end", ["_mask", "-label", "_GT"])
def test_masks_beside_images_that_were_saved_as_jpeg(tmp_path: Path, end: str) -> None:
    for name in ("a", "b"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.jpg")
        Image.new("L", (4, 4)).save(tmp_path / f"{name}{end}.jpg")
    with pytest.raises(UserError, match=f"a{end}.jpg: a mask saved as JPG, which changes its values: .* as PNG"):
        recognise(tmp_path, Choices())
