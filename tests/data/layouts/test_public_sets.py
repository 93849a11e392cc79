"""Public data sets are recognised in the folders in which they are published, and read as their data modules do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seglight.data import ADE20KDataModule, CamVidDataModule, CityscapesDataModule, FolderDataModule
from seglight.data.datamodule import FileDataModule
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.samples import samples

SETS: list[tuple[Callable[[Path], Path], type[FileDataModule]]] = [
    (fabricate.camvid, CamVidDataModule),
    (fabricate.ade20k, ADE20KDataModule),
    (fabricate.cityscapes, CityscapesDataModule),
]


@pytest.mark.parametrize(("make", "module"), SETS, ids=lambda part: part.__name__)
def test_they_are_read_as_their_data_modules_do(
    tmp_path: Path, make: Callable[[Path], Path], module: type[FileDataModule]
) -> None:
    root = make(tmp_path)
    layout = recognise(root, Choices())
    datamodule = module(str(root))
    assert layout.classes == datamodule.classes
    for name, files in layout.splits.items():
        split = datamodule.split(name)
        assert [split.sources(index)[0] for index in range(len(split))] == list(files)
        for index, file in enumerate(files):
            assert np.array_equal(layout.labels(file), split.read(index)[1])
    assert layout.in_place is not None
    own = layout.in_place.class_path == f"seglight.data.{module.__name__}"
    assert own or module is CityscapesDataModule


def test_camvid_is_read_by_its_own_module(tmp_path: Path) -> None:
    layout = recognise(fabricate.camvid(tmp_path), Choices())
    assert layout.in_place is not None
    assert (layout.in_place.class_path, layout.in_place.class_table) == ("seglight.data.CamVidDataModule", None)
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 4, "val": 2, "test": 2}


def test_mapillary_is_read_by_its_configuration(tmp_path: Path) -> None:
    root = fabricate.mapillary(tmp_path)
    layout = recognise(root, Choices())
    assert layout.form == "Mapillary Vistas"
    assert layout.in_place is not None
    datamodule = FolderDataModule(str(root), **layout.in_place.init_args)
    for name, files in layout.splits.items():
        split = datamodule.split(name)
        for index, file in enumerate(files):
            assert np.array_equal(layout.labels(file), split.read(index)[1])


def test_sample_of_mapillary_without_configuration() -> None:
    layout = recognise(samples() / "mapillary" / "v2.0-val", Choices())
    (images,) = layout.splits.values()
    found = {file.stem: np.bincount(layout.labels(file).ravel(), minlength=3).tolist() for file in images}
    assert found == {"0": [15, 10, 0], "1": [0, 5, 20]}


def test_sample_of_training_ids_of_cityscapes() -> None:
    """Values of readings.json; 19 is the rest."""
    layout = recognise(samples() / "cityscapes" / "datumaro-trainids", Choices())
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 1, "val": 1, "test": 2}
    (train,) = layout.splits["train"]
    assert sorted(layout.labels(train).ravel().tolist()) == [11, 255, 255, 255, 255]
    first, second = (sorted(layout.labels(file).ravel().tolist()) for file in layout.splits["test"])
    assert (first, second) == ([14, 14, 14, 255, 255], [3, 16, 16, 255, 255])


def test_kitti_has_label_ids_of_cityscapes(tmp_path: Path) -> None:
    fabricate.save_image(tmp_path / "training/image_2/000000_10.png", np.random.default_rng(0), (2, 4))
    fabricate.save_mask(
        tmp_path / "training/semantic/000000_10.png", np.array([[7, 8, 26, 0], [4, 33, 24, 7]], np.uint8)
    )
    layout = recognise(tmp_path, Choices())
    (image,) = layout.splits["all"]
    assert layout.labels(image).tolist() == [[0, 1, 13, 255], [255, 18, 11, 0]]


def test_forms_that_are_not_read() -> None:
    with pytest.raises(UserError, match=r"_seg.png: a mask of the whole ADE20K, .* use its 150 classes"):
        recognise(samples() / "ade20k" / "2020", Choices())
    with pytest.raises(UserError, match="masks of single objects; those of classes are in a folder `semantic`"):
        recognise(samples() / "kitti-segmentation" / "datumaro", Choices())
