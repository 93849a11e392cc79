from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import OxfordIIITPet

from seglight.data import OxfordIIITPetDataModule
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture
def pet(tmp_path: Path) -> Path:
    return fabricate.pet(tmp_path / "oxford-iiit-pet", trainval=12, test=3)


def test_images_and_trimaps_are_those_that_torchvision_reads(pet: Path) -> None:
    datamodule = OxfordIIITPetDataModule(str(pet))
    for official, splits in (("trainval", ("train", "val")), ("test", ("test",))):
        theirs = OxfordIIITPet(str(pet.parent), split=official, target_types="segmentation")
        expected = {str(path): sample for path, sample in zip(theirs._images, theirs, strict=True)}
        ours = [pairs.read(index) for pairs in map(datamodule.split, splits) for index in range(len(pairs))]
        assert sorted(name for _, _, name in ours) == sorted(expected)
        for image, mask, name in ours:
            their_image, trimap = expected[name]
            assert (image == np.asarray(their_image)).all()
            assert (mask == np.array([0, 1, 0, 255], np.uint8)[np.asarray(trimap)]).all(), (
                "background 0, pet 1, outline"
            )
            assert set(np.unique(mask)) == {0, 1, 255}


def test_each_fifth_of_trainval_is_for_validation(pet: Path) -> None:
    datamodule = OxfordIIITPetDataModule(str(pet))
    stems = {split: [path.stem for path in datamodule.listing(split).images] for split in ("train", "val", "test")}
    assert stems["val"] == ["Abyssinian_104", "Abyssinian_109"]
    assert len(stems["train"]) == 10
    assert not set(stems["train"]) & set(stems["val"])
    assert [stem.rpartition("_")[0] for stem in stems["test"]] == ["american_bulldog"] * 3


def test_root_may_be_the_folder_above(pet: Path) -> None:
    assert len(OxfordIIITPetDataModule(str(pet.parent)).split("test")) == 3


def test_what_is_missing_is_named(pet: Path) -> None:
    datamodule = OxfordIIITPetDataModule(str(pet))
    (pet / "annotations/trimaps/Abyssinian_104.png").unlink()
    with pytest.raises(UserError, match=r"Abyssinian_104.jpg: its mask .*/trimaps/Abyssinian_104.png is missing"):
        datamodule.split("val")
    (pet / "annotations/trainval.txt").write_text("Abyssinian_100 1 1 1\n")
    with pytest.raises(UserError, match=r"trainval.txt: too short for a val split"):
        datamodule.split("val")
    (pet / "annotations/trainval.txt").unlink()
    with pytest.raises(UserError, match=r"trainval.txt: the list of the train split is missing"):
        datamodule.split("train")
