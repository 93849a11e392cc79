"""Covers: data.datasets.camvid_classes."""

from pathlib import Path

import numpy as np
import pytest

from seglight.data import CamVidDataModule
from seglight.errors import UserError
from tests.support import fabricate


def test_void_is_ignored_and_classes_keep_their_index(camvid: Path) -> None:
    image, mask, name = CamVidDataModule(str(camvid)).split("train").read(0)
    raw = fabricate.raw(camvid / "trainannot" / "0001TP_000000.png")
    assert set(np.unique(raw)) == {*range(12)}
    assert (mask == np.where(raw == 11, 255, raw)).all()
    assert (image == fabricate.raw(camvid / "train" / "0001TP_000000.png")).all()
    assert name == str(camvid / "train" / "0001TP_000000.png")


def test_splits_come_in_the_order_of_their_names(camvid: Path) -> None:
    split = CamVidDataModule(str(camvid)).split("train")
    assert [Path(split.read(k)[2]).name for k in range(4)] == [f"0001TP_{30 * k:06d}.png" for k in range(4)]


def test_a_missing_mask_is_named(camvid: Path) -> None:
    mask = camvid / "valannot" / "0001TP_000030.png"
    mask.unlink()
    with pytest.raises(UserError, match=rf"^{camvid}/val/0001TP_000030.png: its mask {mask} is missing: add it"):
        CamVidDataModule(str(camvid)).split("val")


def test_a_missing_split_states_where_it_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{tmp_path}/val: no such folder, .* set data.root"):
        CamVidDataModule(str(tmp_path)).split("val")


def test_the_real_one(camvid_root: Path) -> None:
    datamodule = CamVidDataModule(str(camvid_root))
    train, val = datamodule.split("train"), datamodule.split("val")
    assert (len(train), len(val)) == (367, 101)
    image, mask, name = val.read(50)
    assert (image.shape, mask.shape) == ((360, 480, 3), (360, 480))
    raw = fabricate.raw(camvid_root / "valannot" / Path(name).name)
    assert (raw == 11).any()
    assert (mask == np.where(raw == 11, 255, raw)).all()


def test_the_real_ones_classes_lie_where_they_should(camvid_root: Path) -> None:
    """Sky above, road below, building in between: the order of the names is that of the values."""
    datamodule = CamVidDataModule(str(camvid_root))
    split = datamodule.split("val")
    masks = np.stack([split.read(k)[1] for k in range(0, 101, 5)])
    height = {name: np.nonzero(masks == k)[1].mean() / 360 for k, name in enumerate(datamodule.class_names)}
    assert height["sky"] < height["building"] < height["car"] < height["road"]
    assert height["tree"] < height["pavement"]
