"""Files of image kinds in folders: read where they can be, else named in one line, with their number.

Covers: images.iso_media.
"""

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglight.commands.export.check import image_paths
from seglight.commands.predict.inputs import find
from seglight.data import FolderDataModule
from seglight.data.datasets.image_folder import ImageFolderDataModule
from seglight.data.pairs import IMAGE_SUFFIXES, image_files, images_below
from seglight.errors import UserError
from seglight.images.bands import RGB
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran
from tests.support.samples import samples

UNREAD = ("a.heic", "b.HEIC", "c.dng", "d.svg", "notes.txt", "._e.heic")
TOLD = "not read: 2 HEIC, 1 SVG, 1 camera raw (DNG): convert them to PNG or JPEG, or remove them"


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package that `predict` reads HEIC with is not installed."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"\0")
    return folder


def test_training_names_them_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fabricate.folder(tmp_path / "data")
    put(root / "images" / "train", *UNREAD)
    for _ in range(3):
        assert len(FolderDataModule(str(root)).split("train")) == 4
    assert capsys.readouterr().err == f"seglight: {root}/images/train: {TOLD}\n"


def test_the_first_process_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "images", "a.png", *UNREAD)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert image_files(folder, "images") == [folder / "a.png"]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("LOCAL_RANK", "0")
    image_files(folder, "images")
    assert TOLD in capsys.readouterr().err


@pytest.mark.usefixtures("without_heif")
def test_a_folder_of_nothing_else(tmp_path: Path) -> None:
    folder = put(tmp_path / "images", *UNREAD)
    told = r"but 2 HEIC, 1 SVG, 1 camera raw \(DNG\): convert them to PNG or JPEG"
    with pytest.raises(UserError, match=rf"^{folder}: no image there, where images should be .*, {told}"):
        image_files(folder, "images")
    with pytest.raises(UserError, match=rf"^{folder}: no image or video in this folder .*, {told}"):
        find([str(folder)], tmp_path / "out")


@pytest.mark.usefixtures("without_heif")
def test_predict_export_and_pretraining_name_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, look in enumerate(
        (lambda path: find([str(path)], tmp_path / "out"), partial(image_paths, bands=RGB), images_below)
    ):
        folder = put(tmp_path / str(number) / "cat", "a.png", *UNREAD)
        look(folder)
        assert capsys.readouterr().err == f"seglight: {folder}: {TOLD}\n"
    for name in ("train", "val"):
        put(tmp_path / "classes" / name / "cat", "a.png", "a.heic")
    ImageFolderDataModule(str(tmp_path / "classes")).split("train")
    assert capsys.readouterr().err.startswith(f"seglight: {tmp_path}/classes/train/cat: not read: 1 HEIC: ")


def test_doctor_names_them(tmp_path: Path, seglight_cli: Callable[..., Ran]) -> None:
    root = fabricate.folder(tmp_path / "data")
    put(root / "images" / "val", *UNREAD)
    config = plant.recipe(tmp_path / "recipe.yaml", "FolderDataModule", root)
    assert f"{root}/images/val: {TOLD}" in seglight_cli("doctor", "--config", config).err


@pytest.mark.parametrize("suffix", [".gif", ".ppm", ".pgm", ".avif", ".jp2"])
def test_further_kinds_are_found_and_read(suffix: str, tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "data", train=1)
    path = root / "images" / "train" / "000.png"
    grey = Image.fromarray(fabricate.raw(path)).convert("L")
    path.unlink()
    grey.save(path.with_suffix(suffix), **({"quality": 100} if suffix == ".avif" else {}))
    assert suffix in IMAGE_SUFFIXES
    (image, mask, name) = FolderDataModule(str(root)).split("train").read(0)
    assert Path(name).suffix == suffix
    assert np.abs(image[..., 0].astype(int) - np.asarray(grey)).max() <= 3
    assert mask.shape == image.shape[:2]


@pytest.mark.usefixtures("without_heif")
def test_real_ones_are_refused_by_name(tmp_path: Path) -> None:
    shutil.copy(samples() / "images" / "heif" / "RGB_8__128x128.heif", tmp_path / "photo.heif")
    with pytest.raises(UserError, match="1 HEIF: convert"):
        find([str(tmp_path)], tmp_path / "out")
