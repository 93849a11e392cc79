"""The predict command around a model that needs no net: what it finds, writes, leaves, and says.

Covers: commands.predict.kinds, commands.predict.outputs, commands.predict.run, commands.predict.submissions,
commands.predict.summaries, images.video.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from cityscapesscripts.helpers.labels import trainId2label
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.predict.command import predict as run_predict
from seglight.images.types import LabelMap
from tests.support.stand_in import PALETTE, Reds

Predict = Callable[..., Any]


def image(seed: int, size: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    """Noise without the red that the model refuses."""
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as found:
        return np.asarray(found)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Reds:
    model = Reds()
    monkeypatch.setattr("seglight.commands.predict.command.load", lambda *args, **options: model)
    return model


@pytest.fixture
def predict(model: Reds, tmp_path: Path, seglight_cli: Callable[..., Any]) -> Predict:
    """`seglight predict FILE ... --out tmp_path/out`."""
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"a model")
    return lambda *args, out=tmp_path / "out": seglight_cli("predict", file, *args, "--out", out)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    save(folder / "a.png", image(0))
    save(folder / "town" / "b.v2.png", image(1, (7, 9)))
    save(folder / "town" / "c.png", image(2))
    (folder / "notes.txt").write_text("no image")
    return folder


# ------------------------------------------------------------------------------------------------ what is predicted


def test_a_folder(predict: Predict, images: Path, tmp_path: Path) -> None:
    ran = predict(images)
    assert (ran.rc, ran.out) == (0, f"3 label maps in {tmp_path}/out\n")
    assert files(tmp_path / "out") == ["a.png", "town/b.v2.png", "town/c.png"]
    for seed, name, size in ((0, "a", (20, 30)), (1, "town/b.v2", (7, 9)), (2, "town/c", (20, 30))):
        assert np.array_equal(read(tmp_path / "out" / f"{name}.png"), image(seed, size)[..., 0] // 64)
    with Image.open(tmp_path / "out" / "a.png") as written:
        assert np.array_equal(np.asarray(written.convert("RGB")), np.array(PALETTE)[image(0)[..., 0] // 64])


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("images/*/*.png", ["town/b.v2.png", "town/c.png"]),
        ("images/**/*.png", ["a.png", "town/b.v2.png", "town/c.png"]),
        ("images/[ab].png", ["a.png"]),
    ],
)
def test_a_glob(predict: Predict, images: Path, tmp_path: Path, pattern: str, written: list[str]) -> None:
    assert predict(tmp_path / pattern).rc == 0
    assert files(tmp_path / "out") == sorted([*written])


def test_a_file_whose_name_looks_like_a_glob(predict: Predict, tmp_path: Path) -> None:
    assert predict(save(tmp_path / "image [1].png", image(0))).rc == 0
    assert files(tmp_path / "out") == ["image [1].png"]


def test_pages_of_a_tiff(predict: Predict, tmp_path: Path) -> None:
    sizes = ((20, 30), (45, 7), (20, 30))
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        for seed, size in enumerate(sizes):
            file.write(image(seed, size), photometric="rgb")
    assert predict(tmp_path / "scan.tif", "--batch", 3).rc == 0
    assert files(tmp_path / "out") == ["scan/0001.png", "scan/0002.png", "scan/0003.png"]
    for seed, size in enumerate(sizes):
        assert np.array_equal(read(tmp_path / "out" / "scan" / f"{seed + 1:04}.png"), image(seed, size)[..., 0] // 64)


def test_a_large_tiff_is_read_by_windows(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.predict.inputs.LARGE", 1000)
    monkeypatch.setattr("seglight.commands.predict.inputs.read_page", None)
    pixels = image(5, (61, 43))
    tifffile.imwrite(tmp_path / "large.tif", pixels, photometric="rgb", tile=(16, 16))
    assert predict(tmp_path / "large.tif", "--save", "csv", "ade").rc == 2, "a model of four classes"
    assert predict(tmp_path / "large.tif", "--save", "csv").rc == 0
    assert np.array_equal(read(tmp_path / "out" / "large.png"), pixels[..., 0] // 64)
    assert (tmp_path / "out" / "shares.csv").exists()
    refused = predict(tmp_path / "large.tif", "--save", "probabilities", "overlay")
    assert refused.rc == 1
    assert "large.tif: --save probabilities: the image is so large" in refused.err
    assert "those of 61 x 43 pixels x 4 classes take 0.0 GB" in refused.err
    expected = pixels * 0.5 + np.array(PALETTE)[pixels[..., 0] // 64] * 0.5
    shown = read(tmp_path / "out" / "overlay" / "large.jpg")
    assert shown.shape == expected.shape, "what fails of one kind does not stop the next"
    assert abs(shown.mean((0, 1)) - expected.mean((0, 1))).max() < 1


def test_outputs_within_a_stated_memory(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held stands at 1 GB: the rest is room for images, overlays and tables."""
    monkeypatch.setattr("seglight.commands.predict.memory_budget.resident_bytes", lambda: 10**9)
    save(tmp_path / "images" / "a.png", image(0))
    save(tmp_path / "images" / "b.png", image(1, (1000, 1000)))
    kinds = ("overlay", "csv", "coco")
    ran = predict(tmp_path / "images", "--save", *kinds, "--max_memory", "1.04GB", out=tmp_path / "some")
    assert ran.rc == 1
    assert f"failed: {tmp_path}/images/b.png: image of 1.0 megapixels takes 0.05 GB beside 1.00 GB" in ran.err
    assert files(tmp_path / "some") == ["a.png", "coco.json", "overlay/a.jpg", "shares.csv"]
    ran = predict(tmp_path / "images", "--save", *kinds, "--max_memory", "1.06GB")
    assert ran.rc == 1
    assert f"failed: {tmp_path}/out/b.png: coco of 1.0 megapixels takes" in ran.err, "noise has long outlines"
    assert files(tmp_path / "out") == ["a.png", "b.png", "coco.json", "overlay/a.jpg", "overlay/b.jpg", "shares.csv"]
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [entry["file_name"] for entry in content["images"]] == ["a.png"]
    assert len((tmp_path / "out" / "shares.csv").read_text().splitlines()) == 3


def movie(path: Path, frames: int = 4) -> list[NDArray[np.uint8]]:
    """Write a video losslessly; gives its frames."""
    pixels = [np.ascontiguousarray(np.roll(image(7, (32, 48)), shift, 1)) for shift in range(frames)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 10, (48, 32))
    for frame in pixels:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return pixels


def test_a_video(predict: Predict, model: Reds, tmp_path: Path) -> None:
    path = tmp_path / "drive.avi"
    frames = [np.minimum(frame, 254) for frame in movie(path)]
    ran = predict(path, "--save", "video", "--batch", 3)
    assert ran.rc == 0, ran.err
    names = [f"drive/{number:06}.png" for number in range(1, 5)]
    assert files(tmp_path / "out") == [*names, "video/drive.mp4"]
    assert model.batches == [3, 1]
    for frame, name in zip(frames, names, strict=True):
        # the lossless codec keeps colours to a rounding or two
        assert np.mean(read(tmp_path / "out" / name) == frame[..., 0] // 64) > 0.9
    shown = cv2.VideoCapture(str(tmp_path / "out" / "video" / "drive.mp4"))
    assert shown.get(cv2.CAP_PROP_FPS) == 10
    assert shown.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    there, first = shown.read()
    shown.release()
    expected = (frames[0] * 0.5 + np.array(PALETTE)[frames[0][..., 0] // 64] * 0.5)[..., ::-1]
    assert there
    assert abs(first - expected).mean() < 40, "MPEG-4 of noise is not faithful"
    assert abs(first - expected).mean() < abs(first - frames[0][..., ::-1]).mean()


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    """The frames of a video in RGB, by OpenCV."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(np.asarray(read[1][..., ::-1], np.uint8))
    video.release()
    return frames


def test_a_video_of_odd_sides(predict: Predict, tmp_path: Path) -> None:
    """Label maps are of its size; MPEG-4 has colours for pairs of pixels, and leaves out the last row and column."""
    path, fourcc = tmp_path / "odd.avi", cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, fourcc, 10, (47, 33))
    for _ in range(3):
        writer.write(np.full((33, 47, 3), (10, 20, 200), np.uint8))
    writer.release()
    ran = predict(path, "--save", "video")
    assert ran.rc == 0, ran.err
    for number, frame in enumerate(frames_of(path), 1):
        assert frame.shape == (33, 47, 3)
        assert np.array_equal(read(tmp_path / "out" / "odd" / f"{number:06}.png"), frame[..., 0] // 64)
    assert [frame.shape for frame in frames_of(tmp_path / "out" / "video" / "odd.mp4")] == [(32, 46, 3)] * 3


def test_a_bar_tells_how_far_it_is(predict: Predict, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not predict(images).err, "none where nobody looks"
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which Rich takes it for a terminal
    ran = predict(images)
    assert ran.rc == 0
    assert "predict" in ran.err
    assert "100%" in ran.err


def test_videos_in_a_folder(predict: Predict, tmp_path: Path) -> None:
    folder = tmp_path / "trip"
    save(folder / "drive.png", image(0))
    movie(folder / "drive.avi", 2)
    save(folder / "day 2" / "._b.png", image(1))  # macOS keeps such files beside images
    movie(folder / "day 2" / "b.avi", 1)
    ran = predict(folder, "--save", "csv")
    assert ran.rc == 0, ran.err
    frames = ["day 2/b/000001.png", "drive/000001.png", "drive/000002.png"]
    assert files(tmp_path / "out") == [*frames[:1], "drive.png", *frames[1:], "shares.csv"]
    assert np.array_equal(read(tmp_path / "out" / "drive.png"), image(0)[..., 0] // 64)
    movie(folder / "drive.mkv", 1)
    ran = predict(folder, out=tmp_path / "other")
    assert ran.rc == 2
    assert "drive.avi and" in ran.err or "drive.mkv and" in ran.err


def test_what_is_named_twice_is_predicted_once(predict: Predict, model: Reds, images: Path, tmp_path: Path) -> None:
    ran = predict(images / "a.png", images, images / "*.png", "--save", "csv")
    assert (ran.rc, model.batches) == (0, [1, 1, 1])
    assert len((tmp_path / "out" / "shares.csv").read_text().splitlines()) == 4


def test_links_to_folders(predict: Predict, images: Path, tmp_path: Path) -> None:
    save(tmp_path / "days" / "monday" / "m.png", image(0))
    (tmp_path / "days" / "town").symlink_to(images / "town")
    (tmp_path / "days" / "again").symlink_to(tmp_path / "days" / "monday")  # a place of its own has it already
    (images / "town" / "round").symlink_to(tmp_path / "days")
    assert predict(tmp_path / "days").rc == 0
    assert files(tmp_path / "out") == ["monday/m.png", "town/b.v2.png", "town/c.png"]


def test_a_video_whose_name_is_not_utf8(model: Reds, tmp_path: Path) -> None:
    movie(tmp_path / "drive.avi")
    (tmp_path / "drive.avi").rename(tmp_path / os.fsdecode(b"caf\xe9.avi"))
    save(tmp_path / os.fsdecode(b"caf\xe9 2.png"), image(0))
    (tmp_path / "model.ckpt").write_bytes(b"a model")
    failures = run_predict([str(tmp_path / "model.ckpt")], [str(tmp_path)], str(tmp_path / "out"))
    assert len(failures) == 1
    assert failures[0].endswith("caf\udce9.avi: a video's path must be UTF-8: rename it")
    assert len(files(tmp_path / "out")) == 1


def test_a_folder_without_images(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    ran = predict(tmp_path / "empty")
    assert ran.rc == 2
    assert f"{tmp_path}/empty: no image or video in this folder (.png, " in ran.err


def test_the_last_outputs_are_no_inputs(predict: Predict, tmp_path: Path) -> None:
    save(tmp_path / "work" / "a.png", image(0))
    for _ in range(2):
        assert predict(tmp_path / "work", out=tmp_path / "work" / "masks").rc == 0
    assert files(tmp_path / "work") == ["a.png", "masks/a.png"]


@pytest.mark.parametrize("given", [".", "**/*"])
def test_outputs_of_an_earlier_run_are_no_inputs(predict: Predict, tmp_path: Path, given: str) -> None:
    work = tmp_path / "work"
    save(work / "a.png", image(0))
    save(work / "town" / "b.jpg", image(1) // 2)
    save(work / "overlay" / "c.jpg", image(1) // 2)
    movie(work / "drive.avi", 2)
    assert predict(work, "--save", "overlay", "video", out=work / "masks").rc == 0
    ran = predict(work / given)
    assert ran.rc == 0
    maps = ["a.png", "drive/000001.png", "drive/000002.png", "overlay/c.png", "town/b.png"]
    assert files(tmp_path / "out") == maps
    assert ran.err == (
        f"seglight: {work / given}: left out: 11 files that `seglight predict` has written: "
        "label maps, such as masks/a.png, and what was made from them\n"
    )
    ran = predict(work / "masks")
    assert ran.rc == 2
    assert "all of it was written by `seglight predict`" in ran.err
    assert predict(work / "masks" / "a.png").rc == 0, "a file that is named"


@pytest.mark.parametrize("given", [".", "**/*.png"])
def test_inputs_in_the_folder_of_the_outputs(predict: Predict, images: Path, tmp_path: Path, given: str) -> None:
    ran = predict(images / given, out=images)
    assert ran.rc == 2
    assert "all of it lies in --out, where files are outputs and not inputs" in ran.err
    assert files(images) == ["a.png", "notes.txt", "town/b.v2.png", "town/c.png"]


def test_the_longest_of_names(predict: Predict, tmp_path: Path) -> None:
    """It leaves no room for what the name of a part of a file has beside it."""
    for seed, letter in enumerate("ab"):
        save(tmp_path / "images" / f"{letter * 251}.png", image(seed))
    ran = predict(tmp_path / "images")
    assert ran.rc == 0, ran.err
    assert files(tmp_path / "out") == ["a" * 251 + ".png", "b" * 251 + ".png"]
    assert np.array_equal(read(tmp_path / "out" / f"{'b' * 251}.png"), image(1)[..., 0] // 64)


# ------------------------------------------------------------------------------------------------ what is written


def test_everything_made_of_label_maps(predict: Predict, images: Path, tmp_path: Path) -> None:
    kinds = ("overlay", "probabilities", "csv", "coco", "coco_polygons")
    ran = predict(images, "--save", *kinds)
    assert ran.rc == 0, ran.err
    out = tmp_path / "out"
    assert files(out) == sorted(
        [
            *(f"{name}.png" for name in ("a", "town/b.v2", "town/c")),
            *(f"overlay/{name}.jpg" for name in ("a", "town/b.v2", "town/c")),
            *(f"probabilities/{name}.npz" for name in ("a", "town/b.v2", "town/c")),
            *("coco.json", "coco_polygons.json", "shares.csv"),
        ]
    )
    labels = image(0)[..., 0] // 64
    with np.load(out / "probabilities" / "a.npz") as kept:
        probabilities = kept["probabilities"]
    assert probabilities.dtype == np.float16
    assert probabilities.shape == (4, 20, 30)
    assert np.array_equal(probabilities.argmax(0), labels)
    np.testing.assert_allclose(probabilities.max(0), 0.775, atol=1e-3)
    with (out / "shares.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "sky", "road", "tree", "car"]
    assert [row[0] for row in rows[1:]] == ["a.png", "town/b.v2.png", "town/c.png"]
    np.testing.assert_allclose(
        [float(value) for value in rows[1][1:]], [(labels == k).mean() for k in range(4)], atol=1e-6
    )
    for name in ("coco.json", "coco_polygons.json"):
        content = json.loads((out / name).read_text())
        assert [entry["file_name"] for entry in content["images"]] == ["a.png", "town/b.v2.png", "town/c.png"]
        area = sum(entry["area"] for entry in content["annotations"] if entry["category_id"] == 3)
        assert area == sum(
            (image(k, s)[..., 0] // 64 == 2).sum() for k, s in ((0, (20, 30)), (1, (7, 9)), (2, (20, 30)))
        )


def test_overlays(predict: Predict, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :96]
    pixels = np.stack([np.where(columns < 48, 20, 220), rows * 3, 255 - rows * 3], axis=-1).astype(np.uint8)
    assert predict(save(tmp_path / "scene.png", pixels), "--save", "overlay").rc == 0
    expected = pixels / 2 + np.array(PALETTE)[np.where(columns < 48, 0, 3)] / 2
    assert abs(read(tmp_path / "out" / "overlay" / "scene.jpg") - expected).mean() < 3


def test_an_overlay_that_no_jpeg_can_hold(predict: Predict, tmp_path: Path) -> None:
    save(tmp_path / "images" / "long.png", np.zeros((1, 65_501, 3), np.uint8))
    save(tmp_path / "images" / "short.png", image(0))
    ran = predict(tmp_path / "images", "--save", "overlay")
    assert ran.rc == 1
    told = f"{tmp_path}/images/long.png: --save overlay: 1 x 65501 pixels are more than a JPEG can hold: cut the image"
    assert ran.err == f"seglight: failed: {told}\n"
    assert files(tmp_path / "out") == ["long.png", "overlay/short.jpg", "short.png"]


def test_cityscapes_ids(predict: Predict, model: Reds, tmp_path: Path) -> None:
    model.class_names = ("sky", "road", "vegetation", "car")
    city = "aachen_000000_000019_leftImg8bit.png"
    assert predict(save(tmp_path / city, image(0)), "--save", "cityscapes").rc == 0
    written = read(tmp_path / "out" / "cityscapes" / city)
    ids = [label.id for name in model.class_names for label in trainId2label.values() if label.name == name]
    assert np.array_equal(written, np.array(ids)[image(0)[..., 0] // 64])
    with Image.open(tmp_path / "out" / "cityscapes" / city) as opened:
        assert opened.mode == "L"


def test_ade_ids(predict: Predict, model: Reds, tmp_path: Path) -> None:
    model.class_names, model.palette = tuple(map(str, range(150))), PALETTE * 37 + PALETTE[:2]  # type: ignore[assignment]
    assert predict(save(tmp_path / "ADE_test_1.png", image(0)), "--save", "ade").rc == 0
    assert np.array_equal(read(tmp_path / "out" / "ade" / "ADE_test_1.png"), image(0)[..., 0] // 64 + 1)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("cityscapes", "the model has the class 'tree'"),
        ("ade", "the model has 4 classes, the benchmark 150"),
        ("video", "none of the inputs is a video"),
    ],
)
def test_what_cannot_be_saved(predict: Predict, images: Path, tmp_path: Path, kind: str, says: str) -> None:
    ran = predict(images, "--save", kind)
    assert ran.rc == 2
    assert f"--save {kind}: {says}" in ran.err
    assert not (tmp_path / "out").exists()


def test_batches_hold_the_same(predict: Predict, model: Reds, tmp_path: Path) -> None:
    for seed in range(7):
        save(tmp_path / "images" / f"{seed}.png", image(seed, (20, 30) if seed % 3 else (9, 40)))
    for batch, sizes in ((1, [1] * 7), (3, [3, 3, 1])):
        model.batches.clear()
        assert predict(tmp_path / "images", "--batch", batch, out=tmp_path / f"by {batch}").rc == 0
        assert model.batches == sizes
    for seed in range(7):
        one, three = ((tmp_path / f"by {batch}" / f"{seed}.png").read_bytes() for batch in (1, 3))
        assert one == three


# ------------------------------------------------------------------------------------------------ what fails


def test_what_fails_is_listed_and_does_not_stop_the_rest(predict: Predict, images: Path, tmp_path: Path) -> None:
    (images / "aa damaged.png").write_bytes((images / "a.png").read_bytes()[:60])
    save(images / "bb red.png", np.full((20, 30, 3), 255, np.uint8))
    (images / "cc.tif").write_bytes(b"II*\0nothing")
    for _ in range(2):
        ran = predict(images, "--batch", 4, "--save", "csv")
        assert ran.rc == 1
        lines = ran.err.splitlines()
        assert len(lines) == 3
        assert lines[0].startswith(f"seglight: failed: {images}/aa damaged.png: not readable")
        assert f"seglight: failed: {images}/bb red.png: too red" in lines
        assert any(line.startswith(f"seglight: failed: {images}/cc.tif: not readable") for line in lines)
        assert ran.out.startswith(f"3 label maps in {tmp_path}/out")
    assert files(tmp_path / "out") == ["a.png", "shares.csv", "town/b.v2.png", "town/c.png"]


def test_damaged_videos(predict: Predict, tmp_path: Path) -> None:
    movie(tmp_path / "whole.avi", 60)
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    (tmp_path / "no.mp4").write_bytes(b"no video at all")
    ran = predict(tmp_path / "cut.avi", tmp_path / "no.mp4", "--save", "video")
    assert ran.rc == 1
    assert f"{tmp_path}/no.mp4: not readable as a video" in ran.err
    assert f"{tmp_path}/cut.avi: ends after" in ran.err
    written = files(tmp_path / "out")
    assert "cut/000001.png" in written
    assert not [name for name in written if name.endswith(".mp4")], "no part of a video"


def test_bad_usage(predict: Predict, images: Path, tmp_path: Path) -> None:
    for args, says in (
        ((tmp_path / "nowhere" / "*.png",), "no file matches this glob"),
        ((images, "--save", "nothing"), "save"),
        ((images, ""), "an input is an empty text"),
        ((images, "--batch", 0), "batch"),
        ((images, "--max_memory", "much"), "such as 2GB"),
        ((images / "a.png", images / "town" / ".." / "a.png"), "predict them into two folders"),
    ):
        ran = predict(*args)
        assert ran.rc == 2
        assert says in ran.err
        assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert predict(images, out="").rc == 2, "not into the folder that it runs in"


def test_a_file_in_the_place_of_the_folder(predict: Predict, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for out in (tmp_path / "out", tmp_path / "out" / "masks"):
        ran = predict(images, out=out)
        assert (ran.rc, len(ran.err.splitlines())) == (2, 1)
        assert f"--out {out}: {tmp_path / 'out'} is no folder: choose another one" in ran.err


def test_a_place_where_no_folder_can_be_made(predict: Predict, images: Path) -> None:
    ran = predict(images / "a.png", out="/proc/none")
    assert "No such file or directory: '/proc/none" in ran.err
    assert "--parallel" not in ran.err


def test_images_are_not_replaced(predict: Predict, images: Path) -> None:
    before = (images / "a.png").read_bytes()
    ran = predict(images / "a.png", out=images)
    assert ran.rc == 2
    assert "choose another --out" in ran.err
    assert (images / "a.png").read_bytes() == before


def test_nothing_is_written_outside(predict: Predict, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    save(tmp_path / "images" / "sub" / "a.png", image(0))
    hostile = "..;rm -rf ~\n$(x)..png"
    save(tmp_path / "images" / hostile, image(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(elsewhere)
    ran = predict(tmp_path / "images")
    assert ran.rc == 2
    assert "outside of --out" in ran.err
    (tmp_path / "out" / "sub").unlink()
    assert predict(tmp_path / "images" / "sub" / "*" / ".." / ".." / hostile).rc == 2, "no folder there"
    (tmp_path / "images" / "sub" / "deep").mkdir()
    ran = predict(tmp_path / "images" / "sub" / "*" / ".." / ".." / hostile.replace("$", "?"))
    assert ran.rc == 2
    assert "outside of --out" in ran.err
    assert predict(tmp_path / "images").rc == 0
    assert files(tmp_path / "out") == sorted([hostile, "sub/a.png"])
    assert not list(elsewhere.iterdir())


def test_pages_are_not_written_through_a_link(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scan").symlink_to(tmp_path / "elsewhere")
    tifffile.imwrite(tmp_path / "scan.tif", np.stack([image(0), image(1)]), photometric="rgb")
    ran = predict(tmp_path / "scan.tif")
    assert ran.rc == 2
    assert "outside of --out" in ran.err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_frames_of_every_kind_stay_within(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "overlay").mkdir(parents=True)
    (tmp_path / "out" / "overlay" / "drive").symlink_to(tmp_path / "elsewhere")
    movie(tmp_path / "drive.avi")
    ran = predict(tmp_path / "drive.avi", "--save", "overlay")
    assert ran.rc == 2
    assert "outside of --out" in ran.err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_files_of_others_stay(predict: Predict, images: Path, tmp_path: Path) -> None:
    truth = save(tmp_path / "out" / "a.png", image(3)[..., 0])
    (tmp_path / "out" / "town" / "c.png").mkdir(parents=True)
    ran = predict(images)
    assert ran.rc == 1
    assert ran.out == f"1 label map in {tmp_path}/out\n"
    says = "exists and was not written by `seglight predict`: move it, or choose another --out"
    places = (truth, tmp_path / "out" / "town" / "c.png")
    assert ran.err.splitlines() == [f"seglight: failed: {path}: {says}" for path in places]
    assert np.array_equal(read(truth), image(3)[..., 0])


def test_tables_of_others_stay(predict: Predict, images: Path, tmp_path: Path) -> None:
    """They are recognised by how they begin."""
    (tmp_path / "out").mkdir()
    for kind, name in (("csv", "shares.csv"), ("coco", "coco.json"), ("coco_polygons", "coco_polygons.json")):
        table = tmp_path / "out" / name
        table.write_text("my own")
        ran = predict(images / "a.png", "--save", kind)
        assert ran.rc == 2
        says = "exists and was not written by `seglight predict`: move it, or choose another --out"
        assert ran.err == f"seglight: error: {table}: {says}\n"
        assert table.read_text() == "my own"
        table.unlink()
        assert [predict(images / "a.png", "--save", kind).rc for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("name", ["overlay/a.jpg", "overlay/scan/0002.jpg"])
def test_outputs_of_others_stay(predict: Predict, images: Path, tmp_path: Path, name: str) -> None:
    """In a folder to which `predict` has never written."""
    tifffile.imwrite(images / "scan.tif", np.stack([image(0), image(1)]), photometric="rgb")
    other = tmp_path / "out" / name
    other.parent.mkdir(parents=True)
    other.write_text("my own")
    ran = predict(images, "--save", "overlay")
    assert ran.rc == 2
    assert f"{other}: exists, and no label map in {tmp_path}/out was written by `seglight predict`: move it" in ran.err
    assert files(tmp_path / "out") == [name]
    assert other.read_text() == "my own"
    assert predict(images).rc == 0, "no overlay is written"
    assert other.read_text() == "my own"


def test_a_folder_that_cannot_be_made(predict: Predict, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "town").write_text("a file")
    ran = predict(images)
    assert ran.rc == 1
    assert len(ran.err.splitlines()) == 2
    assert files(tmp_path / "out") == ["a.png", "town"]


def test_an_image_within_a_folder_named_as_anothers_label_map(predict: Predict, tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.jpg", image(0))
    save(tmp_path / "images" / "x.png" / "y.jpg", image(1))
    ran = predict(tmp_path / "images")
    assert ran.rc == 2
    assert "predict them into two folders" in ran.err


# ------------------------------------------------------------------------------------------------ run again


def test_what_is_done_stays(predict: Predict, model: Reds, images: Path, tmp_path: Path) -> None:
    assert predict(images).rc == 0
    first = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")}
    (tmp_path / "out" / "town" / "c.png").unlink()
    model.batches.clear()
    ran = predict(images)
    assert model.batches == [1]
    assert ran.out == f"3 label maps in {tmp_path}/out, 2 of them from before\n"
    again = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")}
    assert {name for name in first if first[name] != again[name]} == {"town/c.png"}
    model.batches.clear()
    assert predict(images, "--save", "overlay", "csv").rc == 0
    assert not model.batches, "overlays are made of the label maps that are there"
    assert (tmp_path / "out" / "overlay" / "town" / "c.jpg").exists()


def test_an_image_that_changed_is_predicted_again(predict: Predict, model: Reds, images: Path, tmp_path: Path) -> None:
    assert predict(images).rc == 0
    save(images / "a.png", image(9))
    later = time.time() + 5
    os.utime(images / "a.png", (later, later))
    model.batches.clear()
    assert predict(images).rc == 0
    assert model.batches == [1]
    assert np.array_equal(read(tmp_path / "out" / "a.png"), image(9)[..., 0] // 64)


def test_another_image_of_the_name_is_predicted(predict: Predict, tmp_path: Path) -> None:
    for day, seed in (("monday", 0), ("tuesday", 1)):
        path = save(tmp_path / day / "a.png", image(seed))
        os.utime(path, (1, 1 + seed))  # both older than the label map
        assert predict(path.parent).rc == 0
        assert np.array_equal(read(tmp_path / "out" / "a.png"), image(seed)[..., 0] // 64)


def test_names_that_look_like_parts_of_others(predict: Predict, tmp_path: Path) -> None:
    for seed, name in enumerate(("a.png", "a.part.png")):
        save(tmp_path / "images" / name, image(seed))
    assert predict(tmp_path / "images", "--save", "csv").rc == 0
    for seed, name in enumerate(("a.png", "a.part.png")):
        assert np.array_equal(read(tmp_path / "out" / name), image(seed)[..., 0] // 64)


def test_another_image_of_the_name_size_and_time_is_predicted(predict: Predict, tmp_path: Path) -> None:
    for day, seed in (("monday", 0), ("tuesday", 1)):
        path = save(tmp_path / day / "a.bmp", image(seed))  # as large as the other
        os.utime(path, (1, 1))
        assert predict(path.parent).rc == 0
        assert np.array_equal(read(tmp_path / "out" / "a.png"), image(seed)[..., 0] // 64)


def test_an_image_that_changes_meanwhile_is_predicted_again(
    predict: Predict, model: Reds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = save(tmp_path / "images" / "a.png", image(0)), model.predict_batch

    def change(images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
        save(path, image(1))
        os.utime(path, (9, 9))
        return real(images)

    with monkeypatch.context() as patched:
        patched.setattr(model, "predict_batch", change)
        assert predict(path).rc == 0
    assert predict(path).rc == 0
    assert np.array_equal(read(tmp_path / "out" / "a.png"), image(1)[..., 0] // 64)


def test_pages_that_are_no_more(predict: Predict, tmp_path: Path) -> None:
    out, scan = tmp_path / "out", tmp_path / "scan.tif"
    for count, made in ((3, ["scan/0001", "scan/0002", "scan/0003"]), (2, ["scan/0001", "scan/0002"]), (1, ["scan"])):
        tifffile.imwrite(scan, np.stack([image(seed) for seed in range(count)]), photometric="rgb")
        for name in ("of mine.png", "0009.png"):
            save(out / "scan" / name, image(0)[..., 0])
        assert predict(scan, "--save", "overlay").rc == 0
        overlays = [f"overlay/{name}.jpg" for name in made]
        assert files(out) == sorted([*overlays, *(f"{name}.png" for name in made), "scan/0009.png", "scan/of mine.png"])
    tifffile.imwrite(scan, np.stack([image(0), image(1)]), photometric="rgb")
    assert predict(scan).rc == 0
    assert not (out / "scan.png").exists()
    assert (out / "scan" / "0002.png").exists()


def test_frames_that_are_no_more(predict: Predict, tmp_path: Path) -> None:
    for count in (4, 2):
        movie(tmp_path / "drive.avi", count)
        assert predict(tmp_path / "drive.avi").rc == 0
        assert files(tmp_path / "out") == [f"drive/{number:06}.png" for number in range(1, count + 1)]


def test_a_damaged_label_map_is_reported(predict: Predict, images: Path, tmp_path: Path) -> None:
    assert predict(images).rc == 0
    path = tmp_path / "out" / "a.png"
    path.write_bytes(path.read_bytes()[:-60])
    ran = predict(images, "--save", "csv")
    assert ran.rc == 1
    assert [line.partition(" (")[0] for line in ran.err.splitlines()] == [f"seglight: failed: {path}: damaged"]
    names = [line.partition(",")[0] for line in (tmp_path / "out" / "shares.csv").read_text().splitlines()]
    assert names == ["image", "town/b.v2.png", "town/c.png"]
    path.unlink()
    assert predict(images, "--save", "csv").rc == 0


def test_a_damaged_label_map_does_not_stop_the_next_page(predict: Predict, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", np.stack([image(seed) for seed in range(3)]), photometric="rgb")
    assert predict(tmp_path / "scan.tif").rc == 0
    path = tmp_path / "out" / "scan" / "0002.png"
    path.write_bytes(path.read_bytes()[:-60])
    ran = predict(tmp_path / "scan.tif", "--save", "overlay")
    assert ran.rc == 1
    assert "0002.png: damaged" in ran.err
    assert files(tmp_path / "out" / "overlay") == ["scan/0001.jpg", "scan/0003.jpg"]


def test_brackets_in_names(predict: Predict, images: Path, tmp_path: Path) -> None:
    assert predict(images, out=tmp_path / "x[" / "b]").out.endswith("/x[/b]\n")


def test_what_another_model_made_is_made_again(predict: Predict, model: Reds, images: Path, tmp_path: Path) -> None:
    assert predict(images, "--save", "overlay").rc == 0
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")}
    (tmp_path / "model.ckpt").write_bytes(b"another")
    model.batches.clear()
    ran = predict(images, "--save", "overlay")
    assert ran.out == f"3 label maps in {tmp_path}/out\n"
    assert model.batches == [1, 1, 1]
    assert files(tmp_path / "out") == sorted(before)
    assert all((tmp_path / "out" / name).stat().st_mtime_ns != before[name] for name in before)


def test_nothing_of_another_model_stays(predict: Predict, images: Path, tmp_path: Path) -> None:
    """Later it would pass for what was made from the new label maps."""
    out = tmp_path / "out"
    movie(images / "drive.avi", 2)
    assert predict(images, "--save", "overlay", "probabilities", "csv", "coco", "video").rc == 0
    (out / "coco_polygons.json").write_text("of others")
    (out / "overlay" / "mine.jpg").write_text("of others")
    (tmp_path / "model.ckpt").write_bytes(b"another")
    ran = predict(images / "a.png")
    assert ran.out == f"1 label map in {out}\n"
    left = {"overlay/town/c.jpg", "overlay/town/b.v2.jpg", "overlay/mine.jpg", "video/drive.mp4", "coco_polygons.json"}
    assert left <= {*files(out)}
    assert not {"overlay/a.jpg", "probabilities/a.npz", "shares.csv", "coco.json"} & {*files(out)}
    assert predict(images).rc == 0
    maps = ["a.png", "drive/000001.png", "drive/000002.png", "town/b.v2.png", "town/c.png"]
    assert files(out) == sorted([*maps, "coco_polygons.json", "overlay/mine.jpg"])


SLOW = """
import signal, sys, time
import seglight.commands.predict.command as command
from tests.support.stand_in import Reds

class Slow(Reds):
    def predict_batch(self, images):
        time.sleep(0.01)
        return super().predict_batch(images)

command.load = lambda *args, **options: Slow()
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(command.main(["predict", *sys.argv[1:]]))
"""


def test_ctrl_c_ends_in_a_line(tmp_path: Path) -> None:
    for seed in range(200):
        save(tmp_path / "images" / f"{seed:03}.png", image(seed))
    (tmp_path / "model.ckpt").write_bytes(b"a model")
    command = [sys.executable, "-c", SLOW, tmp_path / "model.ckpt", tmp_path / "images", "--out", tmp_path / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list((tmp_path / "out").glob("*.png")):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "seglight: stopped: repeat the command to continue from here\n"
    assert not [name for name in files(tmp_path / "out") if ".part" in name]


def test_a_kill_leaves_no_half_file(tmp_path: Path) -> None:
    for seed in range(12):
        save(tmp_path / "images" / f"{seed:02}.png", image(seed, (200, 300)))
    (tmp_path / "model.ckpt").write_bytes(b"a model")
    args = [
        tmp_path / "model.ckpt",
        tmp_path / "images",
        "--out",
        tmp_path / "out",
        "--save",
        "overlay",
        "probabilities",
    ]
    command = [sys.executable, "-c", SLOW, *map(str, args)]
    for enough in (1, 4, 7):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None and len(list((tmp_path / "out").glob("*.png"))) < enough:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was killed at work"
        for name in files(tmp_path / "out"):
            if name.endswith((".png", ".jpg")) and ".part." not in name:
                with Image.open(tmp_path / "out" / name) as opened:
                    opened.load()
            elif name.endswith(".npz") and ".part." not in name:
                with np.load(tmp_path / "out" / name) as kept:
                    assert kept["probabilities"].shape == (4, 200, 300)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "from before" in done.stdout
    for seed in range(12):
        assert np.array_equal(read(tmp_path / "out" / f"{seed:02}.png"), image(seed, (200, 300))[..., 0] // 64)
    assert len(files(tmp_path / "out")) == 3 * 12, "parts of killed runs are gone"
