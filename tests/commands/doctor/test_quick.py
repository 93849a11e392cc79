"""The short look before every fit."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.commands.doctor.quick import quick_check
from seglight.data import (
    CamVidDataModule,
    CityscapesDataModule,
    COCOPolygonsDataModule,
    FolderDataModule,
    LabelMeDataModule,
    ShapesDataModule,
    VOCDataModule,
)
from seglight.data.datasets.camvid import CLASSES as CAMVID
from seglight.errors import UserError
from tests.support import fabricate
from tests.support import planting as plant

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
        (
            "trainannot",
            lambda path: plant.luma(path, CAMVID.palette),
            "most likely the mask contains the brightness of",
        ),
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


def spoil_json(path: Path, change: Callable[[Any], None]) -> Path:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    return path


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_text(path.read_text()[:40]), "not a file of LabelMe"),
        (lambda path: spoil_json(path, lambda table: table.pop("shapes")), "not a file of LabelMe"),
        (
            lambda path: spoil_json(path, lambda table: table["shapes"][0].update(label="cow")),
            "label 'cow' is not a class",
        ),
        (
            lambda path: spoil_json(path, lambda table: table["shapes"][0].update(points=[])),
            "0 points covers no known area",
        ),
        (lambda path: spoil_json(path, lambda table: table.update(imageWidth=10**12)), "not a file of LabelMe"),
    ],
)
def test_damaged_labels_of_labelme_stop_at_once(spoil: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "labelme")
    path = root / "val" / "001.json"
    spoil(path)
    message = refusal(LabelMeDataModule(str(root)))
    assert message.startswith(f"{path}: ")
    assert told in message
    assert "\n" not in message
    assert message.endswith(f"(`{SEE}` reads every file)")


def test_labels_of_another_size_stop_at_once(tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "labelme")
    spoil_json(root / "val" / "001.json", lambda table: table.update(imageWidth=99))
    message = refusal(LabelMeDataModule(str(root)))
    assert f"{root}/val/001.jpg: the image is 36x48 and its mask 36x99" in message


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ("not runs", "an outline of 000000002000.jpg can't be painted"),
        ([0, 5], "annotation 3 has no outline but"),
        ([0, 10**9], "annotation 3 has no outline but"),
        ([36 * 48 + 5, -5], "an outline of 000000002000.jpg can't be painted"),
        (None, "annotation 3 has no outline but"),
    ],
)
def test_damaged_outlines_of_coco_stop_at_once(counts: object, told: str, tmp_path: Path) -> None:
    root = fabricate.coco_json(tmp_path / "coco")
    path = root / "annotations" / "instances_val2017.json"
    quick_check(COCOPolygonsDataModule(str(root)), SEE)
    spoil_json(path, lambda table: table["annotations"][3]["segmentation"].update(counts=counts))
    message = refusal(COCOPolygonsDataModule(str(root)))
    assert message.startswith(f"{path}: {told}")


def test_images_of_coco_are_inspected(tmp_path: Path) -> None:
    root = fabricate.coco_json(tmp_path / "coco")
    path = sorted((root / "val2017").iterdir())[1]
    plant.write(path, b"")
    assert refusal(COCOPolygonsDataModule(str(root))).startswith(f"{path}: ")


def test_a_file_of_annotations_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datamodule = COCOPolygonsDataModule(str(fabricate.coco_json(tmp_path / "coco")), batch_size=2)
    quick_check(datamodule, SEE)
    monkeypatch.setattr("seglight.data.datasets.coco_json.read_json", lambda path: pytest.fail("read again"))
    datamodule.setup("fit")
    assert len(datamodule.splits["train"]) == 4


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (plant.wide, "3 channels of 16 bits"),
        (plant.deep, "1 channel of 16 bits"),
        (plant.transparent, "whose alpha is below 255"),
        (plant.moving, "2 frames"),
        (lambda path: plant.write(path, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)), "HEIC or HEIF"),
    ],
)
def test_what_is_not_read_stops_at_once(spoil: Callable[[Path], Path], told: str, camvid: Path, tmp_path: Path) -> None:
    """With what training would say."""
    path = spoil(camvid / "train" / "0001TP_000060.png")
    datamodule = CamVidDataModule(str(camvid))
    message = refusal(datamodule)
    assert message.startswith(f"{path}: ")
    assert told in message
    split = datamodule.split("train")
    with pytest.raises(UserError) as training:
        split.read(2)
    assert message == f"{training.value} (`{SEE}` reads every file)"


def test_a_second_is_enough(camvid_root: Path) -> None:
    datamodule = CamVidDataModule(str(camvid_root))
    start = time.perf_counter()
    quick_check(datamodule, SEE)
    assert time.perf_counter() - start < 2, "a second on a free machine"
