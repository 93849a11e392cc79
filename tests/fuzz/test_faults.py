"""Damaged and hostile files end in a line or in a right answer: no crash, nothing run, nothing written elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fuzz.cases import Prediction
from tests.fuzz.mutations import hostile_tiffs
from tests.fuzz.originals import REFUSED, SEVERAL, images, pixels, tiffs
from tests.fuzz.sandbox import ANSWER, BAD, MESSAGE, in_child
from tests.support.exported import red


@pytest.mark.parametrize(
    ("seed", "count"), [pytest.param(1, 60, id="some"), pytest.param(0, 500, id="many", marks=pytest.mark.slow)]
)
def test_files_that_were_damaged(seed: int, count: int) -> None:
    """Images, TIFFs, checkpoints, released nets, ONNX files, recipes and sweeps in turn."""
    command = [sys.executable, "-m", "tests.fuzz.sandbox", str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"{count} cases from 0 of seed {seed}: ")
    assert last.endswith(", 0 ended badly")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "case" / "images").mkdir(parents=True)
    return tmp_path / "case"


@pytest.mark.parametrize("kind", ["pipe", "endless", "loop", "gone", "directory", "elsewhere"])
def test_what_lies_in_a_folder_of_images(kind: str, folder: Path, tmp_path: Path) -> None:
    """Beside a good image lies something that only has the name of one: it neither hangs nor stops the other."""
    path = folder / "images" / "b.png"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "gone":
            path.symlink_to(folder / "nowhere.png")
        case "directory":
            path.mkdir()
        case "elsewhere":
            (tmp_path / "c.png").write_bytes(images()["rgb.png"])
            path.symlink_to(tmp_path / "c.png")
    (folder / "images" / "a.png").write_bytes(images()["rgb.png"])
    case = Prediction(kind, red(folder / "red.onnx"), folder / "images", None, 2)
    assert in_child(case, folder) == (ANSWER, [])
    labels = np.asarray(Image.open(folder / "out" / "a.png"))
    np.testing.assert_array_equal(labels, pixels()[..., 0] > 127)
    assert (folder / "out" / "b.png").exists() == (kind == "elsewhere")


def test_a_strip_far_behind_the_end_of_the_file(folder: Path) -> None:
    """Pillow asks for all the memory up to there."""
    path = folder / "images" / "far.tif"
    path.write_bytes(hostile_tiffs()["far_strip.tif"])
    case = Prediction("far", red(folder / "red.onnx"), path, None, 2, refused=True)
    assert in_child(case, folder) == (MESSAGE, [])


def test_the_watch_notices(folder: Path) -> None:
    path = folder / "images" / "a.png"
    path.write_bytes(images()["rgb.png"])
    expected = np.full(pixels().shape[:2], 7, np.uint8)
    outcome, found = in_child(Prediction("other", red(folder / "red.onnx"), path, expected, 2), folder)
    assert (outcome, found[0]) == (BAD, "a.png: other labels, silently")


def test_files_that_nothing_was_done_to(tmp_path: Path) -> None:
    """Of every kind: the labels of the picture as viewers show it, or a line, where it is no picture of 8-bit RGB."""
    model = red(tmp_path / "red.onnx")
    for name, data in (images() | tiffs()).items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(data)
        case = Prediction(name, model, folder / name, None, 2, name in REFUSED, name not in SEVERAL)
        assert in_child(case, folder) == (MESSAGE if name in REFUSED else ANSWER, []), name
