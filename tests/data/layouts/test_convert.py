"""Covers: system.pool."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.data import FolderDataModule
from seglight.data.classes import Classes
from seglight.data.layouts.convert import convert, unique_names
from seglight.data.layouts.layout import Layout
from seglight.errors import UserError
from tests.support.fabricate import labels, raw, save_image
from tests.support.layouts import SIZE, Stored, photographs

CLASSES = Classes(("ground", "cat: a 'pet'"), ((0, 0, 0), (200, 40, 40)))


def stored(images: list[Path], seed: int = 1) -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return {image.name: labels(rng, SIZE, (0, 1, 255)) for image in images}


def layout(splits: Mapping[str, list[Path]], maps: Mapping[str, NDArray[np.uint8]]) -> Layout:
    evidence = next(iter(splits.values()))[0].parent
    return Layout("a form", evidence, CLASSES, splits, Stored(maps))


def test_the_folder_is_read_as_the_layout_was(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    maps = stored(images)
    converted = convert(layout({"train": images[:4], "val": images[4:]}, maps), tmp_path / "out")

    assert converted.root == tmp_path / "out"
    assert converted.images[images[4]] == "images/val/street_004.jpg"
    module = FolderDataModule(str(tmp_path / "out"))
    assert module.classes == CLASSES
    for split, files in (("train", images[:4]), ("val", images[4:])):
        read = module.split(split)
        assert [Path(read.read(index)[2]).name for index in range(len(read))] == [file.name for file in files]
        for index, file in enumerate(files):
            np.testing.assert_array_equal(read.read(index)[1], maps[file.name])
            np.testing.assert_array_equal(read.read(index)[0], raw(file))
    with Image.open(tmp_path / "out/masks/val/street_004.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[:6] == [0, 0, 0, 200, 40, 40]
    assert not list(tmp_path.glob(".*"))


def test_images_are_links_or_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = photographs(tmp_path / "in")
    (tmp_path / "in/by_link.jpg").symlink_to(images[5])
    files = [*images[:5], tmp_path / "in/by_link.jpg"]
    maps = {**stored(images), "by_link.jpg": np.zeros(SIZE, np.uint8)}

    linked = convert(layout({"all": files}, maps), tmp_path / "linked")
    assert linked.remarks == ["Of 6 images, 6 are hard links."]
    assert (tmp_path / "linked/images/all/street_000.jpg").samefile(images[0])
    assert not (tmp_path / "linked/images/all/by_link.jpg").is_symlink()
    assert (tmp_path / "linked/images/all/by_link.jpg").samefile(images[5])

    def no_links(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", no_links)
    copied = convert(layout({"all": files}, maps), tmp_path / "copied")
    assert copied.remarks == ["Of 6 images, 6 are copies."]
    assert not (tmp_path / "copied/images/all/street_000.jpg").samefile(images[0])
    assert (tmp_path / "copied/images/all/street_000.jpg").read_bytes() == images[0].read_bytes()


def test_images_inside_another_file_are_written_as_they_are(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    contents = {image: image.read_bytes() for image in images}
    found = layout({"train": images}, stored(images))
    inside = Layout(**{**vars(found), "image_bytes": contents.__getitem__})
    for image in images:
        image.unlink()
    assert convert(inside, tmp_path / "out").remarks == ["Of 6 images, 6 were written as they are stored."]
    assert (tmp_path / "out/images/train/street_003.jpg").read_bytes() == contents[images[3]]


def test_splits_that_were_decided_replace_those_of_the_layout(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    convert(layout({"all": images}, stored(images)), tmp_path / "out", {"train": images[2:], "val": images[:2]})
    assert len(list((tmp_path / "out/masks/train").iterdir())) == 4
    assert len(list((tmp_path / "out/masks/val").iterdir())) == 2
    assert not (tmp_path / "out/images/all").exists()


def test_names_that_are_used_twice_get_their_folder() -> None:
    folder = Path("/data")
    names = ["cam1/0001.jpg", "cam2/0001.jpg", "cam2/deep/0001.PNG", "0002.jpg", "0002.png", "cam1/B.jpg", "b.jpg"]
    assert unique_names([folder / name for name in [*names, "cam1/only.jpg"]]) == [
        "cam1__0001.jpg",
        "cam2__0001.jpg",
        "cam2__deep__0001.PNG",
        "0002.jpg",
        "0002__2.png",
        "cam1__B.jpg",
        "b.jpg",
        "only.jpg",
    ]
    assert unique_names([Path("a/x.jpg"), Path("b/x.jpg"), Path("a__x.jpg")]) == ["a__x__2.jpg", "b__x.jpg", "a__x.jpg"]


def test_a_renamed_image_is_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [tmp_path / "in" / folder / "0.png" for folder in ("a", "b")]
    for image in images:
        save_image(image, rng, SIZE)
    converted = convert(layout({"train": images}, {"0.png": np.zeros(SIZE, np.uint8)}), tmp_path / "out")
    assert "2 images have the name of another one" in converted.remarks[1]
    assert converted.images == {images[0]: "images/train/a__0.png", images[1]: "images/train/b__0.png"}


def test_many_files_by_several_processes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [tmp_path / "in" / f"{k:03d}.png" for k in range(70)]
    for image in images:
        save_image(image, rng, (8, 8))
    maps = {image.name: labels(rng, (8, 8), (0, 1), block=1) for image in images}
    convert(layout({"train": images}, maps), tmp_path / "out")
    assert all((raw(tmp_path / f"out/masks/train/{image.name}") == maps[image.name]).all() for image in images)


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out: it exists, and nothing in it is overwritten"):
        convert(layout({"train": images}, stored(images)), tmp_path / "out")


def test_a_label_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    maps = stored(images)
    del maps["street_005.jpg"]
    with pytest.raises(KeyError):
        convert(layout({"train": images}, maps), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    maps = {**stored(images), "street_001.jpg": np.zeros((9, 7), np.uint8)}
    with pytest.raises(UserError, match=r"street_001.jpg: the image has 48x64 pixels .* its labels are for 9x7"):
        convert(layout({"train": images}, maps), tmp_path / "out")

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(raw(images[1])).save(images[1], exif=exif)  # shown as 64x48
    maps["street_001.jpg"] = np.zeros(SIZE, np.uint8)
    with pytest.raises(UserError, match="EXIF orientation 6 turns it to 64x48"):
        convert(layout({"train": images}, maps), tmp_path / "out")
    maps["street_001.jpg"] = np.zeros(SIZE[::-1], np.uint8)
    convert(layout({"train": images}, maps), tmp_path / "out")


def test_a_damaged_image_is_named_by_its_own_path(tmp_path: Path) -> None:
    images = photographs(tmp_path / "in")
    images[2].write_bytes(b"no image")
    with pytest.raises(UserError, match=f"^{images[2]}: "):
        convert(layout({"train": images}, stored(images)), tmp_path / "out")


ENDLESS = """
import signal, sys, time
from pathlib import Path
import numpy as np
from seglight.data.classes import Classes
from seglight.data.layouts.convert import convert
from seglight.data.layouts.layout import Layout

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may ignore it

def slow(image):
    if image == images[1]:
        print("half", flush=True)
        time.sleep(60)
    return np.zeros((48, 64), np.uint8)

images = sorted(Path(sys.argv[1]).iterdir())
classes = Classes(("a", "b"), ((0, 0, 0), (1, 1, 1)))
convert(Layout("a form", images[0], classes, {"train": images}, slow), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_conversion_has_no_folder(tmp_path: Path, by: signal.Signals) -> None:
    photographs(tmp_path / "in")
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "in"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(by)
        assert process.wait(30)
    assert not (tmp_path / "out").exists()
    images = sorted((tmp_path / "in").iterdir())
    convert(layout({"train": images}, stored(images)), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]  # the rest is removed
