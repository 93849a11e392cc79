"""The short look before every fit."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seglight.data import (
    CamVidDataModule,
    CityscapesDataModule,
    FolderDataModule,
    LabelMeDataModule,
    ShapesDataModule,
    VOCDataModule,
)
from seglight.data.camvid import CLASSES as CAMVID
from seglight.doctor.quick import quick_check
from seglight.errors import UserError
from tests import fabricate
from tests.doctor import planting as plant

SEE = "seglight doctor --config x.yaml"


def refusal(datamodule: CamVidDataModule | FolderDataModule | VOCDataModule) -> str:
    with pytest.raises(UserError) as caught:
        quick_check(datamodule, SEE)
    return str(caught.value)


def test_clean_data_passes(camvid: Path, voc: Path, folder: Path, cityscapes: Path) -> None:
    for datamodule in (
        CamVidDataModule(str(camvid)),
        VOCDataModule(str(voc)),
        FolderDataModule(str(folder)),
        CityscapesDataModule(str(cityscapes)),
        ShapesDataModule(),
    ):
        quick_check(datamodule, SEE)


@pytest.mark.parametrize(
    ("file", "spoil", "told"),
    [
        ("train", lambda path: plant.write(path, b""), "not readable as an image"),
        ("train", plant.bomb, "not readable as an image"),
        ("trainannot", lambda path: plant.remap(path, lambda mask: mask[1:]), "the image is 36x48 and its mask 35x48"),
        ("trainannot", plant.cut, "not readable as an image"),
        ("trainannot", lambda path: plant.as_mode(path, "RGB"), "the mask is a colour image (mode RGB)"),
        ("trainannot", lambda path: plant.luma(path, CAMVID.palette), "most likely the mask holds the brightness of"),
        ("trainannot", plant.as_jpeg, "the mask was compressed as JPEG"),
        ("trainannot", plant.interpolate, "the mask was resized by interpolation, or smoothed"),
    ],
)
def test_the_first_mistake_stops(file: str, spoil: Callable[[Path], Path], told: str, camvid: Path) -> None:
    path = camvid / file / "0001TP_000060.png"
    spoil(path)
    message = refusal(CamVidDataModule(str(camvid)))
    assert told in message
    assert path.name in message
    assert message.endswith(f"(`{SEE}` reads every file)")


def test_hints_and_test_split_do_not_stop(camvid: Path, voc: Path) -> None:
    plant.as_mode(camvid / "train" / "0001TP_000000.png", "RGBA")
    plant.cut(camvid / "testannot" / "0001TP_000000.png")
    quick_check(CamVidDataModule(str(camvid)), SEE)
    plant.with_exif(voc / "JPEGImages" / "2007_000000.jpg", 6, turn=True)
    plant.with_exif(voc / "JPEGImages" / "2007_000001.jpg", 3, turn=False)
    quick_check(VOCDataModule(str(voc)), SEE)


def test_masks_of_one_class_do_not_stop(folder: Path) -> None:
    """A sample may by chance hold 0 and 255 alone, or nothing: only all masks together can tell."""
    for k, path in enumerate(folder.glob("masks/*/*")):
        fabricate.save_mask(path, np.full((36, 48), 255 * (k % 2), np.uint8))
    quick_check(FolderDataModule(str(folder)), SEE)


def test_images_of_labels_that_only_their_codec_reads(tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "labelme")
    quick_check(LabelMeDataModule(str(root)), SEE)
    path = sorted((root / "val").glob("*.jpg"))[0]
    plant.write(path, b"")
    assert refusal(LabelMeDataModule(str(root))).startswith(str(path))


def test_a_second_is_enough(camvid_root: Path) -> None:
    datamodule = CamVidDataModule(str(camvid_root))
    start = time.perf_counter()
    quick_check(datamodule, SEE)
    assert time.perf_counter() - start < 2, "a second on a free machine"
