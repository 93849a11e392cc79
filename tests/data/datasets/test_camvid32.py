from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seglight.data import CamVid32DataModule
from seglight.data.datasets.camvid32 import published_split
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture
def camvid32(tmp_path: Path) -> Path:
    return fabricate.camvid32(tmp_path / "CamVid32")


def test_names_and_colours_are_those_of_label_colors_txt(camvid32: Path) -> None:
    lines = [line.split() for line in (camvid32 / "label_colors.txt").read_text().splitlines()]
    official = {name: (int(r), int(g), int(b)) for r, g, b, name in lines if name != "Void"}
    datamodule = CamVid32DataModule(str(camvid32))
    assert len(lines) == 32
    assert dict(zip(datamodule.class_names, datamodule.palette, strict=True)) == official


def test_a_colour_is_its_class_and_void_is_ignored(camvid32: Path) -> None:
    datamodule = CamVid32DataModule(str(camvid32))
    image, mask, name = datamodule.split("val").read(1)
    stem = Path(name).stem
    painted = np.array([*datamodule.palette, *[(0, 0, 0)] * 225])[mask]
    assert (painted == fabricate.raw(camvid32 / "LabeledApproved_full" / f"{stem}_L.png")).all()
    assert (image == fabricate.raw(camvid32 / "701_StillsRaw_full" / f"{stem}.png")).all()
    assert set(np.unique(mask)) == {*range(31), 255}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_splits_are_the_published_ones(camvid32: Path, split: str) -> None:
    images = CamVid32DataModule(str(camvid32)).listing(split).images
    assert [image.stem for image in images] == list(fabricate.CAMVID32_STEMS[split])


def test_published_splits_have_367_101_and_233_images() -> None:
    """All 701 frames that were labelled."""
    frames = {
        "0001TP_{:06d}": range(6690, 10381, 30),
        "0006R0_f{:05d}": range(930, 3931, 30),
        "0016E5_{:05d}": [
            *range(390, 871, 30), 901, *range(930, 2401, 30), *range(4350, 7921, 30), *range(7959, 8160, 2),
            *range(8190, 8641, 30),
        ],
        "Seq05VD_f{:05d}": range(0, 5101, 30),
    }  # fmt: skip
    stems = [form.format(frame) for form, sequence in frames.items() for frame in sequence]
    assert len(stems) == 701
    assert Counter(map(published_split, stems)) == {"train": 367, "val": 101, "test": 233}


def test_the_real_splits_are_the_published_ones(camvid_root: Path) -> None:
    """SegNet's CamVid, whose folders are the splits, has the same frames at half the size."""
    for split, number in (("train", 367), ("val", 101)):
        stems = [path.stem for path in (camvid_root / split).glob("*.png")]
        assert [published_split(stem) for stem in stems] == [split] * number


def test_own_lists_decide_where_there_are_any(camvid32: Path) -> None:
    (camvid32 / "train.txt").write_text("0016E5_07959\nSeq05VD_f00000.png\n\n")
    (camvid32 / "val.txt").write_text(
        "/SegNet/CamVid/val/0001TP_006690.png /SegNet/CamVid/valannot/0001TP_006690.png\n"
    )
    datamodule = CamVid32DataModule(str(camvid32))
    assert [image.stem for image in datamodule.listing("train").images] == ["0016E5_07959", "Seq05VD_f00000"]
    assert [image.stem for image in datamodule.listing("val").images] == ["0001TP_006690"]
    assert len(datamodule.split("train")) == 2
    with pytest.raises(UserError, match=rf"^{camvid32}/test.txt: missing or empty, beside a list of another split"):
        datamodule.split("test")


def test_what_is_in_no_published_split_is_named(camvid32: Path) -> None:
    fabricate.save_image(camvid32 / "701_StillsRaw_full" / "mine_1.png", np.random.default_rng(0), (4, 4))
    with pytest.raises(UserError, match=r"mine_1.png: it belongs to no sequence .* write train.txt, val.txt, test.txt"):
        CamVid32DataModule(str(camvid32)).split("val")


def test_what_is_missing_is_named(camvid32: Path) -> None:
    (camvid32 / "LabeledApproved_full" / "0016E5_07959_L.png").unlink()
    with pytest.raises(UserError, match=r"0016E5_07959.png: its mask .*/0016E5_07959_L.png is missing"):
        CamVid32DataModule(str(camvid32)).split("val")
    for stem in fabricate.CAMVID32_STEMS["val"]:
        (camvid32 / "701_StillsRaw_full" / f"{stem}.png").unlink()
    with pytest.raises(UserError, match=r"no image of the published val split there"):
        CamVid32DataModule(str(camvid32)).split("val")


def test_a_colour_of_no_class_is_named(camvid32: Path) -> None:
    path = camvid32 / "LabeledApproved_full" / "0016E5_07959_L.png"
    fabricate.save_mask(path, np.full((36, 48, 3), (1, 2, 3), np.uint8))
    with pytest.raises(
        UserError, match=rf"^{path}: label colour \(1, 2, 3\) \(1728 pixels\) is not in the class table"
    ):
        CamVid32DataModule(str(camvid32)).split("val").read(0)
