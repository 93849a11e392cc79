"""A command that computes nothing imports nothing heavy."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seglight
from tests.support.exported import red

HEAVY = {"torch", "lightning", "numpy", "timm", "torchmetrics", "cv2", "PIL", "jsonargparse", "matplotlib", "yaml"}

LOADED = """
import sys
from seglight.__main__ import main
code = main(sys.argv[1:])
print("LOADED", *{name.partition(".")[0] for name in sys.modules})
sys.exit(code)
"""


@pytest.mark.parametrize("option", ["--help", "-h", "--version", "no_such_command"])
def test_imports_nothing_heavy(option: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, option], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if option == "no_such_command" else 0)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"LOADED", "seglight"} <= loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(("option", "says"), [("--help", "usage: seglight"), ("--version", seglight.__version__)])
def test_answers_in_a_second(option: str, says: str) -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "seglight", option], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
        assert says in done.stdout
        assert not done.stderr
    assert min(seconds) < 1


def test_an_exported_net_predicts_without_torch_in_seconds(tmp_path: Path) -> None:
    """1.5 s are promised on a quiet machine; what else runs beside this test is not known here."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    command = ("predict", red(tmp_path / "red.onnx"), tmp_path / "one.png", "--out")
    seconds = []
    for place in ("a", "b"):
        start = time.perf_counter()
        run = [sys.executable, "-c", LOADED, *map(str, command), str(tmp_path / place)]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert {"LOADED", "onnxruntime"} <= loaded
        assert not loaded & {"torch", "lightning", "timm", "torchmetrics", "matplotlib", "albumentations"}
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / place / "one.png")), pixels[..., 0] > 127)
    assert min(seconds) < 5
