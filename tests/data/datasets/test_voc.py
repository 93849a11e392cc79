"""Covers: data.datasets.voc_classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCSegmentation

from seglight.data import VOCDataModule
from seglight.data.classes import voc_color
from seglight.errors import UserError
from tests.support import fabricate


def test_palette_by_hand() -> None:
    """The lowest bit of the index is the highest of red, the next that of green, then blue, then red again."""
    by_hand = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 7: (128, 128, 128), 8: (64, 0, 0), 20: (0, 64, 128)}
    assert {index: voc_color(index) for index in by_hand} == by_hand
    assert voc_color(255) == (224, 224, 192), "the cream of VOC's borders"


def test_palette_is_the_one_inside_the_masks(voc: Path) -> None:
    datamodule = VOCDataModule(str(voc))
    with Image.open(voc / "SegmentationClass" / "2007_000000.png") as mask:
        stored = np.array(mask.getpalette()).reshape(-1, 3)
    assert np.array(datamodule.palette).tolist() == stored[:21].tolist()
    names = dict(zip(datamodule.class_names, datamodule.palette, strict=True))
    assert (names["person"], names["tvmonitor"]) == ((192, 128, 128), (0, 64, 128)), "as on the VOC site"


@pytest.mark.parametrize("split", ["train", "val"])
def test_images_and_masks_are_those_that_torchvision_reads(tmp_path: Path, split: str) -> None:
    voc = fabricate.voc(tmp_path / "VOCdevkit" / "VOC2012")
    theirs = VOCSegmentation(str(tmp_path), year="2012", image_set=split)
    ours = VOCDataModule(str(voc)).split(split)
    assert len(ours) == len(theirs)
    sizes = set()
    for index, (their_image, their_mask) in enumerate(theirs):
        image, mask, _ = ours.read(index)
        assert (image == np.asarray(their_image)).all()
        assert (mask == np.asarray(their_mask)).all()
        assert (mask[0] == 255).all(), "the border stays ignored"
        assert set(np.unique(mask)) == {*range(21), 255}
        sizes.add(mask.shape)
    assert len(sizes) > 1


def test_root_may_be_the_devkit(tmp_path: Path) -> None:
    fabricate.voc(tmp_path / "VOCdevkit" / "VOC2012")
    assert len(VOCDataModule(str(tmp_path / "VOCdevkit")).split("val")) == 3


def test_trainaug_is_used_where_it_is(tmp_path: Path) -> None:
    root = fabricate.voc(tmp_path / "VOC2012", trainaug=5)
    split = VOCDataModule(str(root)).split("train")
    assert len(split) == 4 + 5
    _, mask, name = split.read(0)
    assert Path(name).stem.startswith("2008_"), "an image that is in no list of VOC's own"
    assert (mask == fabricate.raw(root / "SegmentationClassAug" / f"{Path(name).stem}.png")).all()
    assert len(VOCDataModule(str(root)).split("val")) == 3


def test_an_image_of_the_list_that_is_missing_is_named(voc: Path) -> None:
    image = voc / "JPEGImages" / "2009_000001.jpg"
    image.unlink()
    with pytest.raises(UserError, match=rf"2009_000001.png: its image {image} is missing: add it"):
        VOCDataModule(str(voc)).split("val")


def test_missing_and_empty_lists_are_named(voc: Path) -> None:
    listing = voc / "ImageSets" / "Segmentation" / "val.txt"
    listing.write_text("\n")
    with pytest.raises(UserError, match=rf"^{listing}: the list of the val split is empty"):
        VOCDataModule(str(voc)).split("val")
    listing.unlink()
    with pytest.raises(UserError, match=rf"^{listing}: VOC's list of the val split is missing"):
        VOCDataModule(str(voc)).split("val")


def test_the_test_split_names_what_to_score_on(voc: Path) -> None:
    with pytest.raises(UserError, match=r"^VOC's test labels are not public: score with `seglight validate`$"):
        VOCDataModule(str(voc)).split("test")
