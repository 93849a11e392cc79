"""Images of unusual kinds on the command line: turned as EXIF says, or refused in a line of their own."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

import seglight
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran
from tests.support.exported import red
from tests.support.samples import samples

CLI = Callable[..., Ran]
PHOTOS = [f"Landscape_{number}.jpg" for number in range(1, 9)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return red(tmp_path / "red.onnx")


def test_photos_of_every_orientation(model: Path, seglight_cli: CLI, tmp_path: Path) -> None:
    """The label map lies on the picture as a viewer shows it, on the command line and in Python."""
    folder = samples() / "images" / "exif-orientation"
    ran = seglight_cli("predict", model, folder, "--out", tmp_path / "out")
    assert (ran.rc, ran.err) == (0, "")
    predictor = seglight.load(model)
    for name in PHOTOS:
        with Image.open(folder / name) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[..., 0] > 127
            assert (predictor.predict(image) != expected).mean() < 0.001
        written = fabricate.raw((tmp_path / "out" / name).with_suffix(".png"))
        assert written.shape == (1200, 1800)
        assert (written != expected).mean() < 0.001
        assert np.array_equal(predictor.predict(folder / name), written)


def test_heic_is_read_where_its_package_is_installed(
    model: Path, seglight_cli: CLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi_heif = pytest.importorskip("pi_heif")
    folder = samples() / "images" / "heif"
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(folder / "RGB_8__128x128.heif", images / "photo.HEIC")
    shutil.copy(folder / "RGB_10__29x100.heif", images / "deep.heif")
    shutil.copy(folder / "zPug_3.heic", images / "several.heic")
    ran = seglight_cli("predict", model, images, "--out", tmp_path / "out", "--save", "overlay")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["photo.png"]
    pixels = np.array(pi_heif.open_heif(folder / "RGB_8__128x128.heif"))
    assert np.array_equal(fabricate.raw(tmp_path / "out" / "photo.png"), seglight.load(model).predict(pixels))
    assert np.array_equal(seglight.load(model).predict(images / "photo.HEIC"), seglight.load(model).predict(pixels))
    assert ran.rc == 1
    told = [
        f"failed: {images}/deep.heif: a HEIF of 3 bands of uint16 (red, green, blue), 100 x 29, and the net reads",
        f"failed: {images}/several.heic: a HEIF of 1 band of uint8, 3 frames or pictures",
    ]
    for line, words in zip(ran.err.splitlines(), told, strict=True):
        assert line.startswith(f"seglight: {words}")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    ran = seglight_cli("predict", model, images / "photo.HEIC", "--out", tmp_path / "without")
    needed = 'HEIC or HEIF needs pi-heif: pip install "seglight[heif]"'
    assert (ran.rc, ran.err) == (1, f"seglight: failed: {images}/photo.HEIC: {needed}\n")


def test_what_is_not_read_fails_in_a_line_and_the_rest_is_done(
    model: Path, seglight_cli: CLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # as where it is not installed
    images, heif = tmp_path / "images", samples() / "images" / "heif" / "zPug_3.heic"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 12, 3)).astype(np.uint16)
    cv2.imwrite(str(images / "photo12.png"), pixels)
    Image.fromarray((pixels >> 4).astype(np.uint8)).save(images / "good.png")
    plant.moving(plant.copy(images / "good.png", images / "moving.png"))
    plant.transparent(plant.copy(images / "good.png", images / "clear.png"))
    plant.copy(heif, images / "renamed.jpg")
    plant.copy(heif, images / "photo.heic")
    ran = seglight_cli("predict", model, images, "--out", tmp_path / "out")
    assert ran.rc == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.png"]
    lines = ran.err.splitlines()
    assert lines[0] == f"seglight: {images}: not read: 1 HEIC: convert them to PNG or JPEG, or remove them"
    told = {"clear": "whose alpha is below 255", "moving": "2 frames", "photo12": "3 channels of 16 bits",
            "renamed": "HEIC or HEIF"}  # fmt: skip
    assert len(lines) == 1 + len(told)
    for line, (name, words) in zip(lines[1:], told.items(), strict=True):
        assert line.startswith(f"seglight: failed: {images}/{name}.")
        assert words in line


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (plant.wide, "3 channels of 16 bits; seglight reads unsigned integers of 8 bits"),
        (plant.moving, "2 frames or pictures in one file (PNG)"),
        (lambda path: plant.with_exif(path, 6, turn=False), "its EXIF orientation 6 turns it to 48x36"),
    ],
)
def test_fit_does_not_begin(spoil: Callable[[Path], Any], told: str, seglight_cli: CLI, camvid: Path) -> None:
    path = camvid / "val" / "0001TP_000030.png"
    spoil(path)
    recipe = "configs/camvid/fpn_efficientnet_lite0.yaml"
    weights = ["--model.net.init_args.encoder.init_args.weights", "random"]
    ran = seglight_cli(
        "fit", "-c", recipe, "--data.init_args.root", camvid, *weights, "--run_dir", camvid.parent / "run"
    )
    assert ran.rc == 2
    (line,) = ran.err.strip().splitlines()[-1:]
    assert f"{path}: {told}" in line
