from pathlib import Path

import numpy as np
import pytest
import yaml

from seglight.data import FolderDataModule
from seglight.errors import UserError
from tests.support import fabricate

CAT = "{name: cat, color: [1, 2, 3]}"
DOG = "{name: dog, color: [4, 5, 6]}"


def test_classes_yaml_names_the_classes_in_the_order_of_their_values(folder: Path) -> None:
    datamodule = FolderDataModule(str(folder))
    assert datamodule.class_names == ["ground", "cat", "dog"]
    assert datamodule.palette == [(0, 0, 0), (200, 40, 40), (40, 200, 40)]
    mask = datamodule.split("val").read(1)[1]
    assert (mask == fabricate.raw(folder / "masks" / "val" / "001.png")).all()


def test_ignore_is_the_data_sets_own_value(folder: Path) -> None:
    (folder / "classes.yaml").write_text(f"ignore: 2\nclasses: [{CAT}, {DOG}]")
    path = folder / "masks" / "val" / "000.png"
    fabricate.save_mask(path, np.array([[0, 1, 2]], np.uint8))
    assert FolderDataModule(str(folder)).split("val").read(0)[1].tolist() == [[0, 1, 255]]


def test_without_ignore_255_is_no_label(folder: Path) -> None:
    (folder / "classes.yaml").write_text(f"classes: [{CAT}, {DOG}]")
    fabricate.save_mask(folder / "masks" / "val" / "000.png", np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(UserError, match=r"000.png: label value 255 \(1 pixels\) is not in the class table \(0-1\)"):
        FolderDataModule(str(folder)).split("val").read(0)


def test_images_may_be_jpegs_beside_png_masks(folder: Path) -> None:
    image = folder / "images" / "val" / "000.png"
    fabricate.save_image(image.with_suffix(".JPG"), np.random.default_rng(0), (36, 48))
    image.unlink()
    split = FolderDataModule(str(folder)).split("val")
    assert split.read(0)[2] == str(image.with_suffix(".JPG"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [", "not YAML"),
        ("", "it should be 'classes:"),
        ("- cat\n- dog", "it should be 'classes:"),
        ("classes: [cat, dog]", "it should be 'classes:"),
        ("names: [cat]", "KeyError 'classes': it should be 'classes:"),
        (f"classes: [{CAT}, {{name: dog}}]", "KeyError 'color': it should be"),
        (f"classes: [{CAT}, {{name: dog, color: [1, 2]}}]", "ValueError .* it should be"),
        (f"classes: [{CAT}, {{name: dog, color: red}}]", "ValueError .* it should be"),
        (f"classes: [{CAT}, {{name: dog, color: [1, 2, 256]}}]", "256"),
        (f"classes: [{CAT}, {CAT}]", "2 classes: there must be 1 to 4096, each name once"),
        ("classes: []", "0 classes: there must be 1 to 4096"),
        (f"ignore: 1\nclasses: [{CAT}, {DOG}]", "1 stands for two things: .* and `ignore` none of them"),
        (f"ignore: 65536\nclasses: [{CAT}, {DOG}]", "65536"),
        (f"ignore: -1\nclasses: [{CAT}, {DOG}]", "-1"),
        (f"ignore: void\nclasses: [{CAT}, {DOG}]", "ValueError .*'ignore: 255'"),
    ],
)
def test_faults_of_classes_yaml_are_reported(folder: Path, text: str, message: str) -> None:
    (folder / "classes.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"(?s)^{folder}/classes.yaml: .*({message})"):
        FolderDataModule(str(folder))


def test_classes_yaml_that_is_no_text_is_reported(folder: Path) -> None:
    (folder / "classes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=rf"^{folder}/classes.yaml: not YAML"):
        FolderDataModule(str(folder))


def test_missing_classes_yaml_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{tmp_path}/classes.yaml: no such file: .* set data.root"):
        FolderDataModule(str(tmp_path))


def test_a_mask_without_an_image_is_reported(folder: Path) -> None:
    (folder / "images" / "val" / "001.png").unlink()
    with pytest.raises(UserError, match=rf"^{folder}/masks/val/001.png: no image of this name in {folder}/images/val"):
        FolderDataModule(str(folder)).split("val")


def test_an_image_without_a_mask_is_reported(folder: Path) -> None:
    (folder / "masks" / "train" / "002.png").unlink()
    with pytest.raises(
        UserError, match=rf"^{folder}/images/train/002.png: its mask {folder}/masks/train/002.png is mis"
    ):
        FolderDataModule(str(folder)).split("train")


def test_labels_may_be_colours(folder: Path) -> None:
    text = f"labels: color\nignore: [[0, 0, 0]]\nclasses: [{CAT}, {DOG}]"
    (folder / "classes.yaml").write_text(text)
    fabricate.save_mask(folder / "masks/val/000.png", np.array([[(1, 2, 3), (4, 5, 6), (0, 0, 0)]], np.uint8))
    assert FolderDataModule(str(folder)).split("val").read(0)[1].tolist() == [[0, 1, 255]]


def test_classes_may_lie_elsewhere_and_name_the_folders(folder: Path, tmp_path: Path) -> None:
    table = yaml.safe_load((folder / "classes.yaml").read_text())
    (folder / "classes.yaml").unlink()
    for kind in ("images", "masks"):
        (folder / kind / "val").rename(folder / f"validation_{kind}")
        table[kind] = {"train": f"{kind}/train", "val": f"validation_{kind}"}
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(table))
    datamodule = FolderDataModule(str(folder), classes=str(own))
    assert [len(datamodule.split(split)) for split in ("train", "val")] == [4, 2]
    assert datamodule.split("val").read(0)[2] == str(folder / "validation_images/000.png")
    with pytest.raises(UserError, match=rf"^{own}: `images` names no folder for the test split, only for train, val$"):
        datamodule.split("test")


def test_mapillary_is_read_as_it_is(tmp_path: Path) -> None:
    root = fabricate.mapillary(tmp_path / "mapillary")
    datamodule = FolderDataModule(str(root), classes=str(root / "config_v2.0.json"))
    image, mask, name = datamodule.split("val").read(1)
    raw = fabricate.raw(root / "validation/v2.0/labels" / f"{Path(name).stem}.png")
    assert set(np.unique(raw)) == set(range(5))
    assert (mask == np.array([0, 255, 1, 2, 255], np.uint8)[raw]).all()
    assert (image == fabricate.raw(Path(name))).all()
    with pytest.raises(UserError, match=r"config_v2.0.json: `images` names no folder for the test split"):
        datamodule.split("test")
