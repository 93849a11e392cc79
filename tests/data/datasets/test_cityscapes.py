"""Covers: data.datasets.cityscapes_classes."""

from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels as official_labels
from torchvision.datasets import Cityscapes

from seglight.data import CityscapesDataModule
from seglight.data.datasets.cityscapes import CODEC
from seglight.data.labels import unknown_value
from seglight.errors import UserError
from tests.support import fabricate

OFFICIAL = [entry for entry in Cityscapes.classes if entry.id >= 0]
SCORED = sorted((entry for entry in OFFICIAL if not entry.ignore_in_eval), key=lambda entry: entry.train_id)


def test_names_and_colours_are_the_official_ones(cityscapes: Path) -> None:
    datamodule = CityscapesDataModule(str(cityscapes))
    assert len(SCORED) == 19
    assert datamodule.class_names == [entry.name for entry in SCORED]
    assert datamodule.palette == [entry.color for entry in SCORED]


def test_every_label_id_maps_as_in_the_official_table() -> None:
    assert CODEC.table[[entry.id for entry in OFFICIAL]].tolist() == [
        255 if entry.ignore_in_eval else entry.train_id for entry in OFFICIAL
    ]
    assert CODEC.table[255] == 255, "label id -1 in an 8-bit file"
    unknown = unknown_value(CODEC.table)
    assert (CODEC.table[34:255] == unknown).all(), "what is no label id is no class and not ignored either"


@pytest.mark.parametrize("split", ["train", "val"])
def test_masks_are_what_torchvision_reads_through_its_table(cityscapes: Path, split: str) -> None:
    theirs = Cityscapes(str(cityscapes), split=split, mode="fine", target_type="semantic")
    ours = CityscapesDataModule(str(cityscapes)).split(split)
    order = np.argsort(theirs.images)  # theirs is in the order of the file system
    assert len(ours) == len(theirs)
    for index, other in enumerate(order):
        image, mask, name = ours.read(index)
        their_image, label_ids = theirs[int(other)]
        expected = np.select(
            [np.asarray(label_ids) == entry.id for entry in SCORED], [entry.train_id for entry in SCORED], default=255
        )
        assert name == theirs.images[other]
        assert (image == np.asarray(their_image)).all()
        assert (mask == expected).all()
        assert set(np.unique(mask)) == {*range(19), 255}


def test_the_test_split_names_what_to_score_on(cityscapes: Path) -> None:
    with pytest.raises(UserError, match=r"^Cityscapes' test labels are not public: score with `seglight validate`$"):
        CityscapesDataModule(str(cityscapes)).split("test")


def test_an_empty_split_and_a_missing_mask_are_named(tmp_path: Path) -> None:
    root = fabricate.cityscapes(tmp_path / "cityscapes", val=1)
    mask = root / "gtFine" / "val" / "frankfurt" / "frankfurt_000000_000019_gtFine_labelIds.png"
    mask.unlink()
    with pytest.raises(UserError, match=f"frankfurt_000000_000019_leftImg8bit.png: its mask {mask} is missing: add it"):
        CityscapesDataModule(str(root)).split("val")
    (root / "leftImg8bit/val/frankfurt/frankfurt_000000_000019_leftImg8bit.png").unlink()
    with pytest.raises(UserError, match=rf"^{root}/leftImg8bit/val: no <city>/\*_leftImg8bit.png there"):
        CityscapesDataModule(str(root)).split("val")


def test_the_table_is_that_of_cityscapesscripts(cityscapes: Path) -> None:
    """The data set's own labels.py: names, colours, and what becomes of each id."""
    datamodule = CityscapesDataModule(str(cityscapes))
    scored = sorted((label for label in official_labels if not label.ignoreInEval), key=lambda label: label.trainId)
    assert datamodule.class_names == [label.name for label in scored]
    assert datamodule.palette == [label.color for label in scored]
    for label in official_labels:
        assert CODEC.table[label.id % 256] == (255 if label.ignoreInEval else label.trainId), label.name
