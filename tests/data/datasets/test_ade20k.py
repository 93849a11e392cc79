"""Covers: data.datasets.ade20k_classes."""

from pathlib import Path

import numpy as np
import pytest

from seglight.data import ADE20KDataModule
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture
def ade20k(tmp_path: Path) -> Path:
    return fabricate.ade20k(tmp_path / "ADEChallengeData2016")


@pytest.mark.parametrize(("split", "folder"), [("train", "training"), ("val", "validation")])
def test_zero_is_ignored_and_the_others_move_down_by_one(ade20k: Path, split: str, folder: str) -> None:
    seen = set()
    pairs = ADE20KDataModule(str(ade20k)).split(split)
    for index in range(len(pairs)):
        image, mask, name = pairs.read(index)
        raw = fabricate.raw(ade20k / "annotations" / folder / f"{Path(name).stem}.png")
        assert (mask == raw - np.uint8(1)).all(), "0 wraps to 255"
        assert (image == fabricate.raw(ade20k / "images" / folder / Path(name).name)).all()
        seen |= set(np.unique(raw))
    assert {0, 1, 139} <= seen


def test_names_and_colours_by_hand(ade20k: Path) -> None:
    """Rows of objectInfo150.txt and color150.mat, by the label that stands in the masks."""
    datamodule = ADE20KDataModule(str(ade20k))
    table = dict(enumerate(zip(datamodule.class_names, datamodule.palette, strict=True), start=1))
    assert table[1] == ("wall", (120, 120, 120))
    assert table[3] == ("sky", (6, 230, 230))
    assert table[13] == ("person", (150, 5, 61))
    assert table[21] == ("car", (0, 102, 200))
    assert table[59] == ("screen door", (0, 173, 255))
    assert table[90] == ("television receiver", (0, 255, 194))
    assert table[128] == ("bicycle", (255, 245, 0))
    assert table[150] == ("flag", (92, 0, 255))
    assert table[7][1] == table[49][1] == (140, 140, 140), "road and skyscraper"


def test_a_151st_class_is_refused(ade20k: Path) -> None:
    fabricate.save_mask(ade20k / "annotations/validation/ADE_val_00000001.png", np.full((4, 4), 151, np.uint8))
    with pytest.raises(UserError, match=r"label value 151 \(16 pixels\) is not in the class table \(0-150\)"):
        ADE20KDataModule(str(ade20k)).split("val").read(0)


def test_root_may_be_the_folder_above(ade20k: Path) -> None:
    assert len(ADE20KDataModule(str(ade20k.parent)).split("val")) == 2


def test_what_is_missing_or_too_much_is_named(ade20k: Path) -> None:
    datamodule = ADE20KDataModule(str(ade20k))
    with pytest.raises(UserError, match=r"^ADE20K's test labels are not public: score with `seglight validate`$"):
        datamodule.split("test")
    (ade20k / "images/validation/ADE_val_00000002.jpg").unlink()
    with pytest.raises(UserError, match=r"ADE_val_00000002.png: no image of this name in"):
        datamodule.split("val")
    (ade20k / "annotations/training/ADE_train_00000003.png").unlink()
    with pytest.raises(UserError, match=r"ADE_train_00000003.jpg: its mask .* is missing"):
        datamodule.split("train")
