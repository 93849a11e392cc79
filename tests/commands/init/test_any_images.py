"""Folders of images of any kind are recognised, and the project reads the pixels that were written.

Covers: data.layouts.band_names.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.init.measured import measured_bands
from seglight.commands.init.prepared import prepare, splits_of
from seglight.commands.init.scanned import data_module, scan
from seglight.data import FolderDataModule
from seglight.data.class_files import read_classes
from seglight.data.layouts.band_names import BandFiles, find_band_files
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from tests.support import fabricate
from tests.support.fabricate import save_mask
from tests.support.fabricate_bands import CLASSES, outlines

SIZE = (48, 64)
Write = Callable[[Path, NDArray[Any]], None]


def pixels(seed: int, count: int, kind: str) -> NDArray[Any]:
    top = {"uint8": 255, "uint16": 60000, "int16": 30000}[kind]
    noise = np.random.default_rng(seed).integers(1, top, (6, 8, count), endpoint=True)
    return np.kron(noise, np.ones((8, 8, 1))).astype(kind)


def written(root: Path, count: int, kind: str, write: Write, mask_end: str = "") -> Iterator[NDArray[Any]]:
    """Write three training and two validation images with masks; yields the training images in order."""
    for split, seeds in (("train", (0, 1, 2)), ("val", (3, 4))):
        (root / "images" / split).mkdir(parents=True)
        for seed in seeds:
            image = pixels(seed, count, kind)
            write(root / "images" / split / f"T33_2020010{seed}", image)
            save_mask(
                root / "masks" / split / f"T33_2020010{seed}{mask_end}.png", outlines(np.random.default_rng(seed), SIZE)
            )
            if split == "train":
                yield image


def project(root: Path, out: Path) -> FolderDataModule:
    """The data module of the project that `init` writes, once the scan has found no mistake."""
    layout = recognise(root, Choices())
    splits = splits_of(layout, root, None)
    out.mkdir()
    prepared = prepare(layout, root, splits, out, measured_bands(layout, root, splits.files["train"]))
    assert scan(data_module(prepared.at(out)), print).images == {"train": 3, "val": 2}
    return FolderDataModule(**prepared.at(out)["init_args"])


def save_npy(path: Path, image: NDArray[Any]) -> None:
    np.save(path.with_suffix(".npy"), image)


def save_heic(path: Path, image: NDArray[Any]) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    Image.fromarray(image).save(path.with_suffix(".heic"), quality=-1, chroma=444, matrix_coefficients=0)


def save_bands(path: Path, image: NDArray[Any]) -> None:
    for name, band in zip(("B2", "B8A", "B11"), np.moveaxis(image, -1, 0), strict=True):
        tifffile.imwrite(path.with_name(f"{path.name}_{name}_10m.tif"), band)
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path.with_name(f"{path.name}_TCI_10m.tif"))  # a picture of it


@pytest.mark.parametrize(
    ("count", "kind", "write"),
    [(4, "uint16", save_npy), (1, "int16", save_npy), (3, "uint8", save_npy), (3, "uint8", save_heic)],
)
def test_arrays_and_heic(count: int, kind: str, write: Write, tmp_path: Path) -> None:
    images = list(written(tmp_path / "set", count, kind, write))
    data = project(tmp_path / "set", tmp_path / "project")
    assert data.bands.is_rgb8 == (kind == "uint8")
    if kind != "uint8":
        values = np.stack(images).reshape(-1, count).astype(float)
        assert data.bands.mean == pytest.approx(values.mean(0), rel=1e-4)
        assert data.bands.std == pytest.approx(values.std(0), rel=1e-4)
    for index, image in enumerate(images):
        found = data.split("train").read(index)[0]
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("classes", [False, True])
def test_one_file_a_band(classes: bool, tmp_path: Path) -> None:
    root = tmp_path / "set"
    images = list(written(root, 3, "int16", save_bands, mask_end="" if classes else "_mask"))
    if classes:
        (root / "classes.yaml").write_text(yaml.safe_dump({"classes": CLASSES}))
    data = project(root, tmp_path / "project")
    assert (data.bands.names, data.bands.files) == (("B2", "B8A", "B11"), "{name}_{band}_10m.tif")
    assert data.bands.mean == pytest.approx(np.stack(images).reshape(-1, 3).astype(float).mean(0), rel=1e-4)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(data.split("train").read(index)[0], image)


def test_one_file_a_band_in_one_folder_without_splits(tmp_path: Path) -> None:
    root = tmp_path / "set"
    images = list(written(tmp_path / "first", 3, "uint16", save_bands, mask_end="_label"))
    root.mkdir()
    for path in [*(tmp_path / "first").rglob("*.tif"), *(tmp_path / "first").rglob("*.png")]:
        path.rename(root / path.name)
    layout = recognise(root, Choices())
    assert layout.bands == BandFiles(("B2", "B8A", "B11"), "{name}_{band}_10m.tif", ("", "_label"))
    (found,) = layout.splits.values()
    assert [path.name for path in found] == [f"T33_2020010{seed}_B2_10m.tif" for seed in range(5)]
    splits = splits_of(layout, root, None)
    (tmp_path / "project").mkdir()
    prepared = prepare(layout, root, splits, tmp_path / "project", measured_bands(layout, root, splits.files["train"]))
    data = FolderDataModule(**prepared.at(tmp_path / "project")["init_args"])
    every = [data.split(name).read(index) for name in ("train", "val") for index in range(len(data.split(name)))]
    of_name = {Path(name).name[:12]: image for image, _, name in every}
    assert len(every) == 5
    for seed, image in enumerate(images):
        np.testing.assert_array_equal(of_name[f"T33_2020010{seed}"], image)


def test_pairs_of_pictures_are_no_bands(tmp_path: Path) -> None:
    names = ("left", "right")
    for stem in "ab":
        for name in names:
            Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / f"{stem}_{name}.png")
    masks = [tmp_path / "masks" / f"{stem}.png" for stem in "ab"]
    assert find_band_files(sorted(tmp_path.glob("*.png")), masks) is None
    assert find_band_files([], []) is None
    for path in sorted(tmp_path.glob("*.png")):
        tifffile.imwrite(path.with_suffix(".tif"), np.zeros(SIZE, np.uint16))
    found = find_band_files(sorted(tmp_path.glob("*.tif")), masks)
    assert found == BandFiles(names, "{name}_{band}.tif")


def test_a_band_that_an_image_lacks_stays_a_band(tmp_path: Path) -> None:
    for stem in "abc":
        for name in ("B1", "B2"):
            tifffile.imwrite(tmp_path / f"{stem}_{name}.tif", np.zeros(SIZE, np.uint16))
    (tmp_path / "b_B2.tif").unlink()
    found = find_band_files(sorted(tmp_path.glob("*.tif")), [tmp_path / "masks" / f"{stem}.png" for stem in "abc"])
    assert found == BandFiles(("B1", "B2"), "{name}_{band}.tif")


@pytest.mark.parametrize("declared", [False, True])
def test_the_configuration_of_mapillary_keeps_the_bands(declared: bool, tmp_path: Path) -> None:
    root = fabricate.mapillary(tmp_path / "set", size=SIZE)
    for seed, path in enumerate(sorted(root.rglob("images/*"))):
        path.unlink()
        image = pixels(seed, 4, "uint16")
        tifffile.imwrite(path.with_suffix(".tif"), image, photometric="minisblack", planarconfig="contig")
    config = next(root.glob("config*.json"))
    before = read_classes(config)
    layout = recognise(root, Choices())
    splits = splits_of(layout, root, None)
    if declared:
        bands = {"names": ["a", "b", "c", "d"], "type": "uint16", "mean": [1, 2, 3, 4], "std": [5, 6, 7, 8]}
        config.write_text(json.dumps({**json.loads(config.read_text()), "bands": bands}))
    (tmp_path / "project").mkdir()
    prepared = prepare(layout, root, splits, tmp_path / "project", measured_bands(layout, root, splits.files["train"]))
    data = FolderDataModule(**prepared.at(tmp_path / "project")["init_args"])
    assert (data.table.classes, data.table.codec) == (before.classes, before.codec)
    np.testing.assert_array_equal(data.split("train").read(1)[0], pixels(1, 4, "uint16"))
    values = np.stack([pixels(seed, 4, "uint16") for seed in range(4)]).reshape(-1, 4).astype(float)
    assert data.bands.mean == ((1, 2, 3, 4) if declared else pytest.approx(values.mean(0), rel=1e-4))
