"""What every data module promises; a new one is held to it by standing in MODULES."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from seglight import data
from seglight.data import (
    SegmentationDataModule,
)
from tests.support.data_modules import MODULES

SHARED_COLORS = {"ADE20KDataModule": 1}
"""The official table gives road and skyscraper one colour."""


@pytest.fixture(params=MODULES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SegmentationDataModule, int, dict[str, int]]:
    make, num_classes, lengths = MODULES[request.param]
    return make(tmp_path / "root"), num_classes, lengths


Case = tuple[SegmentationDataModule, int, dict[str, int]]


def test_every_data_module_stands_here() -> None:
    assert {name for name in data.__all__ if name.endswith("DataModule")} == {
        *MODULES,
        "CIFAR10DataModule",  # these two give whole images one class
        "ImageFolderDataModule",
        "FileDataModule",
        "ScenesDataModule",  # windows of 1 to 200 bands, in tests of its own
        "SegmentationDataModule",
    }


def test_class_facts_exist_before_setup(case: Case) -> None:
    datamodule, num_classes, _ = case
    assert datamodule.num_classes == num_classes
    assert len(datamodule.class_names) == len(set(datamodule.class_names)) == num_classes
    assert len(datamodule.palette) == num_classes
    assert len(set(datamodule.palette)) == num_classes - SHARED_COLORS.get(type(datamodule).__name__, 0)
    assert np.array(datamodule.palette).shape == (num_classes, 3)
    assert 0 <= np.min(datamodule.palette) <= np.max(datamodule.palette) <= 255
    assert datamodule.ignore_index == 255


def test_splits_have_their_images_and_share_none(case: Case) -> None:
    datamodule, _, lengths = case
    splits = {name: datamodule.split(name) for name in lengths}
    assert {name: len(split) for name, split in splits.items()} == lengths
    pictures = [split.read(index)[0].tobytes() for split in splits.values() for index in range(len(split))]
    assert len(set(pictures)) == sum(lengths.values())


def test_samples_are_rgb_and_class_indices(case: Case) -> None:
    datamodule, num_classes, lengths = case
    seen: set[int] = set()
    for name, length in lengths.items():
        for index in range(length):
            image, mask, label = datamodule.split(name).read(index)
            assert (image.dtype, mask.dtype) == (np.uint8, np.uint8)
            assert image.shape == (*mask.shape, 3)
            assert isinstance(label, str)
            seen |= {*np.unique(mask).tolist()}
    assert 255 in seen
    assert seen - {255} <= set(range(num_classes))
    assert len(seen) > num_classes / 2


def test_loaders_give_batches_for_training_and_evaluation(case: Case) -> None:
    datamodule, _, lengths = case
    datamodule.setup("fit")
    batches = list(datamodule.train_dataloader())
    assert [batch["image"].shape for batch in batches] == [(2, 3, 32, 32)] * 2
    assert [batch["mask"].shape for batch in batches] == [(2, 32, 32)] * 2
    assert batches[0]["image"].dtype == batches[0]["mask"].dtype == torch.uint8
    assert len({name for batch in batches for name in batch["name"]}) == 4
    assert len({name for batch in datamodule.val_dataloader() for name in batch["name"]}) == lengths["val"]


def test_samples_name_their_files_and_what_decides_them(case: Case) -> None:
    """What a cache holds to: the same split twice, and from another process, reads and calls itself the same."""
    datamodule, _, lengths = case
    for name in lengths:
        split, again = datamodule.split(name), pickle.loads(pickle.dumps(datamodule.split(name)))
        assert split.fingerprint == again.fingerprint
        image, mask, label = split.read(0)
        assert (again.read(0)[0] == image).all()
        assert (again.read(0)[1] == mask).all()
        sources = split.sources(0)
        assert all(path.is_file() for path in sources)
        assert [str(path) for path in sources[:1]] == [label][: len(sources)]
