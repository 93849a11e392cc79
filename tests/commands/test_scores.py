"""`seglight scores audit`: its table for a run, and its errors for missing or damaged counts."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglight.metrics.image_counts import FILE, ImageCounts, ScoredImages

HELP = """
import sys
from seglight.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    print("LOADED", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of two images and three classes, the last of which does not occur."""
    arrays = (np.array(x, np.int64) for x in ([3, 2], [0, 1, 4, 0, 3], [30, 10, 40, 15, 5]))
    ScoredImages("test", 1, ["a.png", "b/b.png"], ImageCounts(3, *arrays)).save(tmp_path / FILE)
    return tmp_path


def test_the_table_of_a_case_worked_by_hand(run_dir: Path, seglight_cli: Callable[..., Any]) -> None:
    """Class 0: 45 of 60 pixels; class 1: 40 of 55. By image: 30 of 40 and 40 of 50, then 15 of 20 and 0 of 5."""
    ran = seglight_cli("scores", "audit", run_dir)
    assert ran.rc == 0, ran.err
    rows = [line.replace("│", " ") for line in ran.out.splitlines() if "│" in line]
    shown = {row[: row.index(" 0.")].strip(): row[row.index(" 0.") :].split()[:2] for row in rows}
    macro, first, second = (45 / 60 + 40 / 55) / 2, (30 / 40 + 40 / 50) / 2, (15 / 20 + 0) / 2
    expected = {
        "seglight": macro,
        "mmsegmentation": macro,
        "torchmetrics macro": macro,
        "torchmetrics none, .mean()": macro * 2 / 3,
        "torchmetrics micro": 85 / 115,
        "torchmetrics MeanIoU": (30 / 40 + 40 / 50 + 15 / 20 + 0) / 4,
        "smp macro": (2 * macro + 1) / 3,
        "smp micro": 85 / 115,
        "PaddleSeg": macro * 2 / 3,
        "mean of batches of 1": (first + second) / 2,
    }
    assert {name: row[0] for name, row in shown.items()} == {name: f"{value:.4f}" for name, value in expected.items()}
    assert shown["seglight"][1] == "ours"
    assert shown["PaddleSeg"][1] == f"{-100 * macro / 3:+.2f}"
    assert "test: 2 images" in ran.out
    assert "1 of 3 classes are in neither labels nor predictions" in ran.out
    assert "no image here has as many" in ran.out


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "a bit":
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif kind == "text":
        path.write_text("no scores")
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        with np.load(path) as file:
            arrays = dict(file)
        change(arrays, kind)
        with path.open("wb") as file:
            np.savez(file, **arrays)


def change(arrays: dict[str, Any], kind: str) -> None:
    if kind == "pickle":
        arrays["names"] = np.array([{"a": 1}, None], dtype=object)
    elif kind == "key":
        del arrays["cells"]
    elif kind == "cell":
        arrays["cells"][-1] = 9
    elif kind == "length":
        arrays["lengths"][0] = 4
    elif kind == "name":
        arrays["names"] = arrays["names"][:1]
    elif kind == "batch":
        arrays["batch_size"] = np.array(0)


@pytest.mark.parametrize(
    "kind", ["cut off", "a bit", "text", "empty", "pickle", "key", "cell", "length", "name", "batch"]
)
def test_damaged_counts_are_refused_in_one_line(kind: str, run_dir: Path, seglight_cli: Callable[..., Any]) -> None:
    damage(run_dir / FILE, kind)
    ran = seglight_cli("scores", "audit", run_dir)
    assert ran.rc == 2
    assert not ran.out
    assert len(ran.err.splitlines()) == 1
    assert f"{run_dir / FILE}: damaged" in ran.err
    assert "seglight validate" in ran.err


@pytest.mark.parametrize("folder", ["", "no_such_run"])
def test_a_run_without_counts_is_refused_in_one_line(
    folder: str, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli("scores", "audit", tmp_path / folder)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "no such file" in ran.err
    assert "seglight validate" in ran.err


@pytest.mark.parametrize("arguments", [[], ["no_such"], ["audit"], ["audit", "run", "more"], ["audit", "run", "--no"]])
def test_wrong_arguments_are_refused_in_one_line(arguments: list[str], seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("scores", *arguments)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "scores --help" in ran.err


def test_counts_are_saved_in_one_file_and_read_back(run_dir: Path) -> None:
    assert [path.name for path in run_dir.iterdir()] == [FILE]
    scored = ScoredImages.load(run_dir / FILE)
    assert (scored.split, scored.batch_size, scored.names) == ("test", 1, ["a.png", "b/b.png"])
    assert scored.counts.confusion().tolist() == [[45, 10, 0], [5, 40, 0], [0, 0, 0]]


@pytest.mark.parametrize("arguments", [["--help"], ["audit", "--help"]])
def test_help_needs_no_torch(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, "scores", *arguments], capture_output=True, text=True, check=True
    )
    assert "audit" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"LOADED", "seglight"} <= loaded
    assert not loaded & {"torch", "lightning", "torchmetrics", "timm"}
