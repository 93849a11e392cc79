from pathlib import Path

import numpy as np
import pytest

from seglight.data import COCOStuffDataModule
from seglight.data.datasets.cocostuff import LABEL_IDS
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture
def cocostuff(tmp_path: Path) -> Path:
    return fabricate.cocostuff(tmp_path / "coco")


def test_names_stand_at_the_ids_of_labels_txt(cocostuff: Path) -> None:
    names = dict(zip(LABEL_IDS, COCOStuffDataModule(str(cocostuff)).class_names, strict=True))
    official = {
        1: "person", 11: "fire hydrant", 13: "stop sign", 25: "giraffe", 27: "backpack", 28: "umbrella", 31: "handbag",
        44: "bottle", 46: "wine glass", 65: "bed", 67: "dining table", 70: "toilet", 72: "tv", 82: "refrigerator",
        84: "book", 90: "toothbrush", 92: "banner", 100: "cardboard", 110: "desk-stuff", 125: "gravel", 149: "road",
        157: "sky-other", 169: "tree", 182: "wood",
    }  # fmt: skip
    assert {label_id: names[label_id] for label_id in official} == official
    never_drawn = "street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door, blender, hair brush"
    assert not set(never_drawn.split(", ")) & set(names.values())
    assert len(names) == 80 + 91


def test_colours_are_vocs_by_label_id(cocostuff: Path) -> None:
    colors = dict(zip(LABEL_IDS, COCOStuffDataModule(str(cocostuff)).palette, strict=True))
    assert np.array(list(colors.values())).tolist() == fabricate.voc_palette()[list(colors)].tolist()


@pytest.mark.parametrize("split", ["train", "val"])
def test_values_are_label_ids_less_one(cocostuff: Path, split: str) -> None:
    image, mask, name = COCOStuffDataModule(str(cocostuff)).split(split).read(1)
    raw = fabricate.raw(cocostuff / "stuffthingmaps_trainval2017" / f"{split}2017" / f"{Path(name).stem}.png")
    label_ids = np.array([*LABEL_IDS, *[0] * (256 - len(LABEL_IDS))])
    assert ((mask == 255) == (raw == 255)).all()
    assert (label_ids[mask[mask < 255]] - 1 == raw[raw < 255]).all()
    assert set(np.unique(mask)) == {*range(171), 255}
    assert image.shape == (*mask.shape, 3)


def test_a_class_that_was_never_drawn_is_refused(cocostuff: Path) -> None:
    path = sorted((cocostuff / "stuffthingmaps_trainval2017/val2017").iterdir())[0]
    fabricate.save_mask(path, np.full((4, 4), 11, np.uint8))
    with pytest.raises(UserError, match=r"label value 11 \(16 pixels\) is not in the class table \(0-10, 12-24,"):
        COCOStuffDataModule(str(cocostuff)).split("val").read(0)


def test_the_authors_and_mmsegmentations_layout(cocostuff: Path) -> None:
    (cocostuff / "images").mkdir()
    for split in ("train2017", "val2017"):
        (cocostuff / split).rename(cocostuff / "images" / split)
    (cocostuff / "stuffthingmaps_trainval2017").rename(cocostuff / "annotations")
    mask = sorted((cocostuff / "annotations/val2017").iterdir())[0]
    mask.with_name(f"{mask.stem}_labelTrainIds.png").write_bytes(mask.read_bytes())
    assert len(COCOStuffDataModule(str(cocostuff)).split("val")) == 2


def test_what_is_missing_is_named(cocostuff: Path, tmp_path: Path) -> None:
    datamodule = COCOStuffDataModule(str(cocostuff))
    with pytest.raises(UserError, match=r"^COCO-Stuff's test labels are not public: score with `seglight validate`$"):
        datamodule.split("test")
    sorted((cocostuff / "stuffthingmaps_trainval2017/val2017").iterdir())[0].unlink()
    with pytest.raises(UserError, match=r"its mask .*/stuffthingmaps_trainval2017/val2017/.*.png is missing"):
        datamodule.split("val")
    with pytest.raises(UserError, match=r"^/nowhere/val2017: no such folder, where COCO's val images should be"):
        COCOStuffDataModule("/nowhere").split("val")
