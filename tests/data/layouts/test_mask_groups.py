"""Files that a description of names must not take from other folders, or leave out without a remark."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from seglight.commands.init.prepared import Splits, prepare
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.mask_layouts import save


def pair(folder: Path, stem: str, below: str = "") -> None:
    rng = np.random.default_rng(len(stem))
    fabricate.save_image(folder / "images" / below / f"{stem}.jpg", rng, (8, 8))
    save(folder / "masks" / below / f"{stem}.png", np.eye(8, dtype=np.uint8))


def stems(layout: Layout) -> dict[str, list[str]]:
    return {split: sorted(file.stem for file in files) for split, files in layout.splits.items()}


def test_two_folders_of_one_split_do_not_take_those_of_others(tmp_path: Path) -> None:
    for folder, stem in (
        ("train_1", "a"),
        ("train_2", "a"),
        ("train_2", "b"),
        ("val", "c"),
        ("valid", "d"),
        ("test", "e"),
    ):
        pair(tmp_path / folder, stem)
    layout = recognise(tmp_path, Choices())
    assert stems(layout) == {"train": ["a", "a", "b"], "val": ["c", "d"], "test": ["e"]}
    assert layout.lists_needed


def test_labelled_images_of_no_split(tmp_path: Path) -> None:
    """They are training images where there are no others, and else are left out with their number."""
    for stem in "abc":
        pair(tmp_path / "data", stem)
    pair(tmp_path / "test rig", "d")
    layout = recognise(tmp_path, Choices())
    assert stems(layout) == {"train": ["a", "b", "c"], "test": ["d"]}
    assert "Images whose folders name no split are training images: data/images." in layout.remarks
    shutil.move(tmp_path / "test rig", tmp_path / "train")
    layout = recognise(tmp_path, Choices())
    assert stems(layout) == {"train": ["d"]}
    assert "Left out: 3 images in data/images." in layout.remarks
    assert any("label files of no image that is read (3, such as " in remark for remark in layout.remarks)


def test_a_mask_of_each_class(tmp_path: Path) -> None:
    for number in range(3):
        pair(tmp_path, str(number))
        (tmp_path / f"masks/{number}.png").rename(tmp_path / f"masks/{number}_car.png")
        shutil.copy(tmp_path / f"masks/{number}_car.png", tmp_path / f"masks/{number}_dog.png")
    with pytest.raises(UserError, match=r"0_dog.png: another label file of the image .* 0_car.png \(3 files like it\)"):
        recognise(tmp_path, Choices())


def test_files_of_macos_are_no_images(tmp_path: Path) -> None:
    for stem in "ab":
        pair(tmp_path, stem)
    for place in ("images/._a.jpg", "masks/._a.png", "masks/._z.png"):
        (tmp_path / place).write_bytes(b"\0\5\x16\7")
    assert stems(recognise(tmp_path, Choices())) == {"all": ["a", "b"]}


def test_a_name_that_no_list_can_contain(tmp_path: Path) -> None:
    for stem in ("a", "b\nc"):
        pair(tmp_path / "data", stem)
    layout = recognise(tmp_path / "data", Choices())
    splits = Splits({"train": layout.splits["all"]}, listed=True)
    with pytest.raises(
        UserError, match=r"b\\nc.jpg': no list can contain the line break in this name: rename the file"
    ):
        prepare(layout, tmp_path / "data", splits, tmp_path)
