"""Images of declared bands on disk, to samples: files written by tifffile and numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

from seglight.data import Augmentation, COCOPolygonsDataModule, FolderDataModule
from seglight.data.dataset import SegmentationDataset
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from tests.support import fabricate

BANDS = {"names": ["red", "nir"], "type": "uint16", "mean": [900, 2000], "std": [100, 200], "nodata": 0}
CLASSES = [{"name": "ground", "color": [0, 0, 0]}, {"name": "field", "color": [0, 200, 0]}]


def pixels(seed: int) -> NDArray[np.uint16]:
    image = np.random.default_rng(seed).integers(1, 4000, (20, 30, 2), np.uint16)
    image[:4, :5] = 0  # no data
    image[10, 10, 0] = 0  # no data in one band only
    return image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four images of each split, of two bands of uint16."""
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "masks" / split).mkdir(parents=True)
        for number in range(4):
            tifffile.imwrite(tmp_path / "images" / split / f"{number}.tif", pixels(number), planarconfig="contig")
            Image.fromarray(np.full((20, 30), number % 2, np.uint8)).save(tmp_path / "masks" / split / f"{number}.png")
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES, "bands": BANDS}))
    return tmp_path


def test_samples_have_the_files_own_values_and_pixels_without_data_are_ignored(root: Path) -> None:
    data = FolderDataModule(str(root), num_workers=0, batch_size=2)
    assert data.bands == Bands.from_dict(BANDS)
    assert data.facts["bands"] is data.bands
    data.setup("fit")
    sample = SegmentationDataset(data.splits["val"], num_classes=2, bands=data.bands)[0, 1]
    assert sample["image"].dtype == torch.uint16
    np.testing.assert_array_equal(sample["image"].permute(1, 2, 0).numpy(), pixels(1))
    expected = np.full((20, 30), 1, np.uint8)
    expected[:4, :5] = 255
    np.testing.assert_array_equal(sample["mask"].numpy(), expected)
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (1, 2, 20, 30)


def test_augmented_samples_ignore_pixels_without_data(root: Path) -> None:
    crops = Augmentation((20, 30), (1.0, 1.0), 1.0, 0.0)
    data = FolderDataModule(str(root), augmentation=crops, num_workers=0, batch_size=2)
    data.setup("fit")
    sample = data.example()
    assert sample["image"].dtype == torch.uint16
    np.testing.assert_array_equal(sample["image"].permute(1, 2, 0).numpy(), pixels(0)[:, ::-1])
    np.testing.assert_array_equal(sample["mask"].numpy() == 255, (pixels(0)[:, ::-1] == 0).all(2))
    data.augmentation = Augmentation(40, (2.0, 2.0), 0.0, 0.0)
    found = next(iter(data.train_dataloader()))
    np.testing.assert_array_equal((found["image"] == 0).all(1), found["mask"] == 255)


def test_one_file_a_band_is_an_image_by_its_first_band(root: Path) -> None:
    for split in ("train", "val"):
        for path in sorted((root / "images" / split).iterdir()):
            for band, name in enumerate(BANDS["names"]):  # type: ignore[arg-type]
                tifffile.imwrite(path.with_name(f"{path.stem}_{name}.tif"), pixels(int(path.stem))[..., band])
            path.unlink()
    table = {"classes": CLASSES, "bands": BANDS | {"files": "{name}_{band}.tif"}}
    (root / "classes.yaml").write_text(yaml.safe_dump(table))
    listing = FolderDataModule(str(root)).listing("train")
    assert [path.name for path in listing.images] == [f"{number}_red.tif" for number in range(4)]
    assert [path.name for path in listing.masks] == [f"{number}.png" for number in range(4)]
    split = FolderDataModule(str(root)).split("train")
    assert [path.name for path in split.sources(1)] == ["1_red.tif", "1_nir.tif", "1.png"], "a cache watches all files"
    np.testing.assert_array_equal(split.read(1)[0], pixels(1))


def test_lists_select_images_of_the_declared_bands(root: Path) -> None:
    lists = root / "lists"
    lists.mkdir()
    for name, line in (("train", "images/val/2.tif"), ("val", "images/train/1.tif")):
        (lists / f"{name}.txt").write_text(line)
    data = FolderDataModule(str(root), lists=str(lists))
    np.testing.assert_array_equal(data.split("train").read(0)[0], pixels(2))
    assert data.split("val").fingerprint == FolderDataModule(str(root)).split("val").fingerprint


def test_arrays_are_images_where_bands_are_declared(root: Path) -> None:
    for path in sorted((root / "images" / "train").iterdir()):
        np.save(path.with_suffix(".npy"), pixels(int(path.stem)))
        path.unlink()
    split = FolderDataModule(str(root)).split("train")
    np.testing.assert_array_equal(split.read(2)[0], pixels(2))


def test_the_fingerprint_changes_with_the_bands_and_not_for_8_bit_rgb(root: Path) -> None:
    split = FolderDataModule(str(root)).split("train")
    other: Any = FolderDataModule(str(root))
    other.bands = Bands.from_dict(BANDS | {"nodata": 7})
    assert split.fingerprint != other.split("train").fingerprint
    other.bands = RGB
    assert other.split("train").fingerprint == repr(other.table.codec)


def test_bands_of_coco_are_an_option_or_a_file(tmp_path: Path) -> None:
    root = fabricate.coco_json(tmp_path / "coco")
    declared = COCOPolygonsDataModule(str(root), bands=dict(BANDS))
    assert declared.bands == Bands.from_dict(BANDS)
    file = tmp_path / "bands.yaml"
    file.write_text(yaml.safe_dump({"bands": BANDS}))
    assert COCOPolygonsDataModule(str(root), bands=str(file)).bands == declared.bands
    assert COCOPolygonsDataModule(str(root)).bands is RGB
    file.write_text("classes: []")
    with pytest.raises(UserError, match=r"bands.yaml: it has no key `bands`: copy the lines"):
        COCOPolygonsDataModule(str(root), bands=str(file))


def test_a_mistake_in_classes_yaml_names_the_file(root: Path) -> None:
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES, "bands": BANDS | {"std": [1, 0]}}))
    with pytest.raises(UserError, match=rf"^{root}/classes.yaml: bands.std .*: give finite numbers, above 0$"):
        FolderDataModule(str(root))
