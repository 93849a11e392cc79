"""Images that are in two splits: the same file, links to it, copies of it, and what only looks like one.

Covers: data.pairs.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from seglight.data import CamVidDataModule, COCOPolygonsDataModule, FolderDataModule, VOCDataModule, disjoint
from seglight.data.disjoint import check_disjoint, shared_images
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder, without_masks
from seglight.errors import UserError
from tests.support import fabricate

WAYS: dict[str, Callable[[Path, Path], object]] = {
    "copy": shutil.copy,
    "hard link": lambda old, new: new.hardlink_to(old),
    "link": lambda old, new: new.symlink_to(old),
    "link to a link": lambda old, new: (new.with_suffix(".x").symlink_to(old), new.symlink_to(new.with_suffix(".x"))),
}


class Split:
    """Samples with files, as a data module of one's own may have."""

    def __init__(self, *sources: tuple[Path, ...]) -> None:
        self.files = sources

    fingerprint = ""

    def __len__(self) -> int:
        return len(self.files)

    def sources(self, index: int) -> tuple[Path, ...]:
        return self.files[index]

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        raise NotImplementedError


def files(folder: Path, *contents: bytes) -> Split:
    folder.mkdir()
    paths = [folder / f"{k}.jpg" for k in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Split(*((path,) for path in paths))


@pytest.mark.parametrize("way", WAYS)
def test_one_image_by_each_way(way: str, camvid: Path) -> None:
    first, second = camvid / "train" / "0001TP_000030.png", camvid / "val" / "0001TP_000030.png"
    second.unlink()
    WAYS[way](first, second)
    data = CamVidDataModule(str(camvid))
    assert shared_images(data.split("train"), data.split("val")) == [(second, first)]
    assert shared_images(data.split("val"), data.split("test")) == []


def test_equal_sizes_are_no_copies(tmp_path: Path) -> None:
    """As of BMP or of cameras without compression; files that differ in their beginning, in the middle, at one byte."""
    rng = np.random.default_rng(0)
    base = rng.bytes(60_000)
    others = [b"x" + base[1:], base[:-1] + b"x", base[:30_001] + b"x" + base[30_002:], base[:50_000] + b"x" * 10_000]
    hidden = base[:20_000] + b"x" + base[20_001:]  # where no piece is read
    train, val = files(tmp_path / "a", base, b"", *others), files(tmp_path / "b", hidden, rng.bytes(60_000))
    assert shared_images(train, val) == []
    again = files(tmp_path / "c", rng.bytes(100), others[2], base[:-1], base)
    found = shared_images(train, again)
    assert found == [
        (tmp_path / "c" / "1.jpg", tmp_path / "a" / "4.jpg"),
        (tmp_path / "c" / "3.jpg", tmp_path / "a" / "0.jpg"),
    ]


def test_of_many_files_of_one_size_not_all_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disjoint, "SAMPLED", 20)
    contents = [f"{k:09d}".encode() for k in range(300)]
    train, val = files(tmp_path / "a", *contents), files(tmp_path / "b", *contents)
    opened = 0
    plain = disjoint._pieces_hash

    def counting(path: Path) -> bytes:
        nonlocal opened
        opened += 1
        return plain(path)

    monkeypatch.setattr(disjoint, "_pieces_hash", counting)
    assert len(shared_images(train, val)) == 10
    assert opened == 20


def test_an_archive_of_both_splits_is_no_image(tmp_path: Path) -> None:
    archive = tmp_path / "all.h5"
    archive.touch()
    split = Split(*[(archive,)] * 6)
    assert shared_images(split, split) == []
    assert shared_images(Split((), ()), Split((), ())) == [], "drawn"


def test_a_list_that_names_each_image_twice_is_no_archive(tmp_path: Path) -> None:
    images = [path for (path,) in files(tmp_path / "train", b"one", b"two").files]
    twice = FilePairs(images * 2, images * 2, LabelCodec({0: 0}))
    assert shared_images(FilePairs(images, images, LabelCodec({0: 0})), twice) == [(path, path) for path in images]


def test_few_are_said_and_more_are_refused(tmp_path: Path) -> None:
    contents = [f"{k:09d}".encode() for k in range(200)]
    val = files(tmp_path / "val", *contents)
    assert check_disjoint(files(tmp_path / "none", b"other", b"another"), val) == []
    (line,) = check_disjoint(files(tmp_path / "two", *contents[:2]), val)
    assert line == (
        f"{tmp_path}/val/0.jpg: a validation image that is a training image too, as {tmp_path}/two/0.jpg (and 1 more "
        "are): 2 of 200, for which the score includes training images"
    )
    with pytest.raises(UserError) as caught:
        check_disjoint(files(tmp_path / "three", *contents[:3]), val)
    assert str(caught.value).startswith(f"{tmp_path}/val/0.jpg: a validation image that is a training image too, as ")
    assert "(and 2 more are)" in str(caught.value)
    with pytest.raises(UserError, match=r"0\.jpg: a validation image that is a training image too \(and 199 more are"):
        check_disjoint(val, val)


def same_folder(folder: Path) -> FolderDataModule:
    classes = yaml.safe_load((folder / "classes.yaml").read_text())
    both = {kind: dict.fromkeys(("train", "val"), f"{kind}/train") for kind in ("images", "masks")}
    (folder / "classes.yaml").write_text(yaml.safe_dump({**classes, **both}))
    return FolderDataModule(str(folder))


def same_list(voc: Path) -> VOCDataModule:
    lists = voc / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text((lists / "train.txt").read_text())
    return VOCDataModule(str(voc))


def listed_in_both(voc: Path) -> VOCDataModule:
    lists = voc / "ImageSets" / "Segmentation"
    one = (lists / "train.txt").read_text().splitlines()[-1]
    (lists / "val.txt").write_text((lists / "val.txt").read_text() + one + "\n")
    return VOCDataModule(str(voc))


def same_json(tmp_path: Path) -> COCOPolygonsDataModule:
    root = fabricate.coco_json(tmp_path / "coco")
    annotations = "annotations/instances_train2017.json"
    return COCOPolygonsDataModule(str(root), annotations=annotations, images="train2017")


RECIPE = """
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false, num_sanity_val_steps: 0}}
model: {{net: {{class_path: tests.support.tiny.TinyNet}}}}
data: {{class_path: seglight.data.{module}, init_args: {{root: {root}, num_workers: 0, batch_size: 2{more}}}}}
"""


def test_a_training_on_its_own_validation_images_stops(
    tmp_path: Path, folder: Path, voc: Path, camvid: Path, seglight_cli: Callable[..., Any]
) -> None:
    same_folder(folder)
    shutil.rmtree(camvid / "val")
    shutil.rmtree(camvid / "valannot")
    (camvid / "val").symlink_to(camvid / "train")
    shutil.copytree(camvid / "trainannot", camvid / "valannot")
    same_list(voc)
    same_json(tmp_path)
    coco = ", annotations: annotations/instances_train2017.json, images: train2017"
    recipe = tmp_path / "recipe.yaml"
    for module, root, more in (
        ("FolderDataModule", folder, ""),
        ("CamVidDataModule", camvid, ""),
        ("VOCDataModule", voc, ", augmentation: {crop_size: 32}"),
        ("COCOPolygonsDataModule", tmp_path / "coco", coco),
    ):
        recipe.write_text(RECIPE.format(module=module, root=root, more=more))
        ran = seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run")
        assert (ran.rc, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
        assert "a validation image that is a training image too" in ran.err
        assert "--trainer.overfit_batches 1.0" in ran.err
        assert not (tmp_path / "run").exists()
        ran = seglight_cli(
            "fit", "-c", recipe, "--run_dir", tmp_path / f"{module} alone", "--trainer.limit_val_batches", 0
        )
        assert ran.rc == 0, ran.err
        assert not (tmp_path / f"{module} alone" / "scores.json").exists()


def test_one_image_in_two_lists(voc: Path) -> None:
    data = listed_in_both(voc)
    ((path, other),) = shared_images(data.split("train"), data.split("val"))
    assert path == other == voc / "JPEGImages" / "2007_000003.jpg"


def test_from_python_too(folder: Path) -> None:
    """`Trainer.fit` has no short look before it."""
    from tests.support.training import new_module, new_trainer

    data = same_folder(folder)
    data.batch_size, data.num_workers = 2, 0
    trainer = new_trainer(limit_val_batches=1.0)
    with pytest.raises(UserError, match="a validation image that is a training image too"):
        trainer.fit(new_module(), datamodule=data)
    new_trainer().fit(new_module(), datamodule=data)


def test_pixels_that_were_saved_again_are_left_to_doctor(folder: Path) -> None:
    first, second = folder / "images" / "train" / "000.png", folder / "images" / "val" / "000.png"
    Image.open(first).save(second, dpi=(72, 72))
    data = FolderDataModule(str(folder))
    assert first.stat().st_size != second.stat().st_size
    assert shared_images(data.split("train"), data.split("val")) == []


def test_real_splits_share_nothing(camvid_root: Path) -> None:
    data = CamVidDataModule(str(camvid_root))
    assert shared_images(data.split("train"), data.split("val")) == []


def test_masks_beside_their_images_are_counted_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a.jpg", "a_mask.png", "b.jpg", "b-GT.png", "c_mask.png", "sub/a_mask.png", "label.png", "_mask.png"]
    files = [tmp_path / name for name in names]
    left = [path.relative_to(tmp_path).as_posix() for path in without_masks(tmp_path, files)]
    assert left == ["a.jpg", "b.jpg", "c_mask.png", "sub/a_mask.png", "label.png", "_mask.png"]
    assert f"{tmp_path}: left out: 2 masks by their names, such as a_mask.png" in capsys.readouterr().err
    assert without_masks("masks", [tmp_path / "a_mask.png"]) == [tmp_path / "a_mask.png"], "it was asked for"
    assert capsys.readouterr().err == ""


def test_a_missing_folder_of_test_images_names_the_other_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set data.root to the right place, or score with `seglight validate`$"):
        existing_folder(tmp_path / "test", "the test images")
    with pytest.raises(UserError, match=r"set data.root to the right place$"):
        existing_folder(tmp_path / "val", "the val images")
