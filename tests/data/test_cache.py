"""Covers: commands.cache."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglight.commands import cache as command
from seglight.data import Augmentation, CamVidDataModule, SegmentationDataModule, ShapesDataModule, VOCDataModule
from seglight.data import cache as reading
from seglight.data.cache import CachedSplit
from seglight.data.classes import Classes
from seglight.errors import UserError
from tests.support import fabricate


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three samples a shard, so that a few images make several."""
    monkeypatch.setattr(reading, "SHARD_LENGTH", 3)
    monkeypatch.setattr(command, "SHARD_LENGTH", 3)


@pytest.fixture
def built(voc: Path, tmp_path: Path) -> tuple[VOCDataModule, Path]:
    datamodule = VOCDataModule(str(voc))
    assert command.cache(datamodule, str(tmp_path / "cache")) == {"train": 4, "val": 3}
    return datamodule, tmp_path / "cache"


def everything(datamodule: SegmentationDataModule) -> list[tuple[Any, ...]]:
    datamodule.setup("fit")
    batches = [*datamodule.train_dataloader(), *datamodule.val_dataloader()]
    return [(b["name"], b["image"].numpy().tobytes(), b["mask"].numpy().tobytes()) for b in batches]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_samples_from_the_cache_are_those_of_the_files(
    voc: Path, built: tuple[VOCDataModule, Path], num_workers: int
) -> None:
    plain = VOCDataModule(str(voc), Augmentation(32), batch_size=2, num_workers=0)
    cached = VOCDataModule(str(voc), Augmentation(32), batch_size=2, num_workers=num_workers, cache=str(built[1]))
    assert everything(cached) == everything(plain)


def test_any_data_module_takes_a_cache(tmp_path: Path) -> None:
    arguments = {"size": 40, "train_images": 5, "eval_images": 2, "batch_size": 2, "num_workers": 0}
    assert command.cache(ShapesDataModule(**arguments), str(tmp_path)) == {"train": 5, "val": 2, "test": 2}
    assert everything(ShapesDataModule(**arguments, cache=str(tmp_path))) == everything(ShapesDataModule(**arguments))
    with pytest.raises(UserError, match=r"the classes, the bands or the codec have changed since"):
        everything(ShapesDataModule(**{**arguments, "size": 48}, cache=str(tmp_path)))


class OfTypes(SegmentationDataModule):
    """Arrays of some types and bands, of odd sizes; whole files follow each other without a gap of 8 bytes."""

    def __init__(self, kind: str, mask_kind: str = "uint8", count: int = 3) -> None:
        super().__init__(Classes(("a", "b"), ((0, 0, 0), (255, 0, 0))), 1, 1, 0, 0)
        self.given = kind, mask_kind, count

    def split(self, name: str) -> Any:
        return Arrays(*self.given)


class Arrays:
    fingerprint = "arrays"

    def __init__(self, kind: str, mask_kind: str, count: int) -> None:
        self.kind, self.mask_kind, self.count = kind, mask_kind, count

    def __len__(self) -> int:
        return 5

    def sources(self, index: int) -> tuple[Path, ...]:
        return ()

    def read(self, index: int) -> tuple[Any, Any, str]:
        rng = np.random.default_rng(index)
        size = 7 + 2 * index, 5
        image = rng.normal(0, 9000, (*size, self.count)).astype(self.kind)
        if self.kind == "float32":
            image[2, 3] = np.nan
        return image, rng.integers(0, 255, size).astype(self.mask_kind), f"array {index}"


@pytest.mark.parametrize(
    ("kind", "mask_kind", "count"),
    [
        ("uint8", "uint8", 12),
        ("uint8", "uint16", 1),
        ("uint16", "uint8", 3),
        ("int16", "uint16", 1),
        ("float32", "uint8", 200),
        ("float32", "uint16", 3),
    ],
)
def test_images_of_any_type_and_bands_are_as_they_were(kind: str, mask_kind: str, count: int, tmp_path: Path) -> None:
    datamodule = OfTypes(kind, mask_kind, count)
    command.cache(datamodule, str(tmp_path))
    cached = CachedSplit(tmp_path, "train", datamodule.split("train"))
    shard = (tmp_path / "train-00000.bin").read_bytes()
    for index in range(5):
        image, mask, name = cached.read(index)
        expected = Arrays(kind, mask_kind, count).read(index)
        np.testing.assert_array_equal(image, expected[0], strict=True)
        np.testing.assert_array_equal(mask, expected[1], strict=True)
        assert name == expected[2]
        assert isinstance(image, np.memmap)
        assert not image.flags.writeable
        assert image.flags.aligned
        assert mask.flags.aligned
        assert index > 2 or expected[0].tobytes() in shard


def test_the_layout_of_8_bit_samples_is_that_of_earlier_caches(tmp_path: Path) -> None:
    """The bytes of images and masks without gaps, and entries without types are read as uint8."""
    datamodule = OfTypes("uint8")
    command.cache(datamodule, str(tmp_path))
    samples = [Arrays("uint8", "uint8", 3).read(index) for index in range(3)]
    packed = b"".join(image.tobytes() + mask.tobytes() for image, mask, _ in samples)
    assert (tmp_path / "train-00000.bin").read_bytes() == packed
    for path in tmp_path.glob("*-*.json"):
        content = json.loads(path.read_text())
        assert content["version"] == 2
        for record in content["records"]:
            assert (record.pop("dtype"), record.pop("mask_dtype")) == ("uint8", "uint8")
        path.write_text(json.dumps(content))
    cached = CachedSplit(tmp_path, "train", datamodule.split("train"))
    np.testing.assert_array_equal(cached.read(4)[0], Arrays("uint8", "uint8", 3).read(4)[0], strict=True)


@pytest.mark.parametrize(("kind", "mask_kind"), [("float64", "uint8"), ("uint8", "int64"), ("int32", "uint8")])
def test_other_types_are_refused_in_one_line(kind: str, mask_kind: str, tmp_path: Path) -> None:
    said = (
        f"array 0: {kind} image and {mask_kind} mask: a cache takes images of uint8, uint16, int16, float32 and masks"
    )
    with pytest.raises(UserError, match=f"{said} of uint8, uint16: train without one$"):
        command.cache(OfTypes(kind, mask_kind), str(tmp_path))


def test_samples_are_views_of_the_file_and_survive_a_spawned_worker(built: tuple[VOCDataModule, Path]) -> None:
    split = CachedSplit(built[1], "train", built[0].split("train"))
    image, mask, _ = split.read(3)
    assert isinstance(image, np.memmap)
    assert isinstance(mask, np.memmap)
    assert not image.flags.writeable
    again = pickle.loads(pickle.dumps(split))
    assert (again.read(3)[0] == image).all()


def test_a_second_build_writes_nothing(built: tuple[VOCDataModule, Path]) -> None:
    datamodule, folder = built
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*-*")}
    command.cache(datamodule, str(folder))
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*-*")} == before


def change_mask(voc: Path, folder: Path) -> None:
    path = voc / "SegmentationClass" / "2009_000001.png"
    fabricate.save_mask(path, np.zeros((44, 52), np.uint8))


def touch_and_change_a_byte(voc: Path, folder: Path) -> None:
    path = voc / "JPEGImages" / "2009_000001.jpg"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut_a_shard(voc: Path, folder: Path) -> None:
    path = folder / "val-00000.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(voc: Path, folder: Path) -> None:
    path = folder / "val-00000.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def lose_a_shard(voc: Path, folder: Path) -> None:
    (folder / "val-00000.bin").unlink()


def spoil_the_json(voc: Path, folder: Path) -> None:
    (folder / "val-00000.json").write_text("{")


def lose_the_index(voc: Path, folder: Path) -> None:
    (folder / "index.json").unlink()


def another_version(voc: Path, folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "version": 0}))


def another_image(voc: Path, folder: Path) -> None:
    path = voc / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("\n".join(path.read_text().split()[:2]))


def another_order(voc: Path, folder: Path) -> None:
    path = voc / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("\n".join(path.read_text().split()[::-1]))


FAULTS: dict[Callable[[Path, Path], None], str] = {
    change_mask: r"VOC2012/SegmentationClass/2009_000001.png has changed since",
    touch_and_change_a_byte: r"VOC2012/JPEGImages/2009_000001.jpg has changed since",
    cut_a_shard: r"val-00000.bin is missing or damaged",
    flip_a_bit: r"val-00000.bin is missing or damaged",
    lose_a_shard: r"val-00000.bin is missing or damaged",
    spoil_the_json: r"val-00000.json is missing or damaged",
    lose_the_index: r"no finished cache there",
    another_version: r"written by version 0 of the cache, this is 2",
    another_image: r"holds 3 images of the val split, which has 2 now",
    another_order: r"was image 0 of the split, now another is",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_stale_or_damaged_cache_is_refused_and_the_next_build_repairs_it(
    voc: Path, built: tuple[VOCDataModule, Path], fault: Callable[[Path, Path], None]
) -> None:
    datamodule, folder = built
    untouched = (folder / "train-00000.bin").stat().st_mtime_ns
    fault(voc, folder)
    cached = VOCDataModule(str(voc), batch_size=1, num_workers=0, cache=str(folder))
    remedy = rf"bring it up to date with `seglight cache --config RECIPE --out {folder}`$"
    with pytest.raises(UserError, match=rf"^{folder}: .*{FAULTS[fault]}: {remedy}"):
        cached.setup("validate")
    command.cache(datamodule, str(folder))
    cached.setup("validate")
    plain = VOCDataModule(str(voc)).split("val")
    for index in range(len(plain)):
        assert (cached.splits["val"].read(index)[0] == plain.read(index)[0]).all()
        assert (cached.splits["val"].read(index)[1] == plain.read(index)[1]).all()
    assert (folder / "train-00000.bin").stat().st_mtime_ns == untouched


def test_files_that_only_look_new_are_known_by_their_content(voc: Path, built: tuple[VOCDataModule, Path]) -> None:
    for path in [*voc.rglob("*.png"), *built[1].glob("*.bin")]:
        os.utime(path)
    cached = VOCDataModule(str(voc), cache=str(built[1]), batch_size=1)
    cached.setup("fit")
    assert [type(split) for split in cached.splits.values()] == [CachedSplit, CachedSplit]
    assert (cached.splits["val"].read(0)[1] == built[0].split("val").read(0)[1]).all()


def test_a_damaged_image_is_reported_and_leaves_no_cache(camvid: Path, tmp_path: Path) -> None:
    bad = camvid / "train" / "0001TP_000030.png"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(UserError, match=rf"{bad}: not readable as an image"):
        command.cache(CamVidDataModule(str(camvid)), str(tmp_path / "cache"))
    assert not (tmp_path / "cache" / "index.json").exists()


def test_a_full_disk_is_reported_before_anything_is_written(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        UserError, match=r"the cache needs about 0.0 GB, but only 0.0 GB are free: choose another --out"
    ):
        command.cache(CamVidDataModule(str(camvid)), str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


BUILD = """
import sys, time
from seglight.commands import cache as command
from seglight.data import CamVidDataModule, cache as reading
reading.SHARD_LENGTH = command.SHARD_LENGTH = 3
write = command.write_shard
command.write_shard = lambda *job: (time.sleep(0.5 if job[2] else 0), write(*job))[1]
command.cache(CamVidDataModule(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_build_is_no_cache_and_the_next_one_continues(tmp_path: Path) -> None:
    root, folder = fabricate.camvid(tmp_path / "CamVid", train=30), tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", BUILD, root, folder], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob("train-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert 0 < len(done) < 12
    with pytest.raises(UserError, match=r"no finished cache there"):
        CamVidDataModule(str(root), cache=str(folder)).setup("fit")
    datamodule = CamVidDataModule(str(root))
    command.cache(datamodule, str(folder))
    assert {path: path.stat().st_mtime_ns for path in done} == done, "shards that were whole are kept"
    assert not list(folder.glob("*.part*"))
    split = CachedSplit(folder, "train", datamodule.split("train"))
    assert all((split.read(k)[0] == datamodule.split("train").read(k)[0]).all() for k in range(30))


def test_training_from_a_cache_gives_the_weights_of_training_from_files(
    camvid: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = Path("configs/camvid/fpn_efficientnet_lite0.yaml")
    data = ["--data.init_args.root", camvid]
    ran = seglight_cli("cache", "--config", recipe, *data, "--out", tmp_path / "cache")
    assert ran.rc == 0, ran.err
    assert "4 train, 2 val, 2 test" in ran.out
    assert f"--data.cache {tmp_path / 'cache'}" in ran.out.replace("\n", "")
    small = [
        "--data.init_args.batch_size", 2, "--data.init_args.augmentation.crop_size", 32,
        "--model.net.init_args.encoder.init_args.weights", "random",
        "--trainer.accelerator", "cpu", "--trainer.max_steps", 2, "--trainer.limit_val_batches", 0,
    ]  # fmt: skip
    for name, extra in {"files": [], "cached": ["--data.init_args.cache", tmp_path / "cache"]}.items():
        ran = seglight_cli("fit", "--config", recipe, *data, *small, *extra, "--run_dir", tmp_path / name)
        assert ran.rc == 0, ran.err
    weights = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("files", "cached")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_command_line_tells_what_is_missing(seglight_cli: Callable[..., Any], camvid: Path) -> None:
    ran = seglight_cli("cache", "--config", "configs/data/camvid.yaml", "--data.init_args.root", camvid)
    assert ran.rc == 2
    assert ran.err.count("\n") == 1
    assert "required: out (see `seglight cache --help`)" in ran.err
