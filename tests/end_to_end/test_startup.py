"""A command that computes nothing imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seglight
from tests.support import processor
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
    """Of the processor, since other work may share the cores."""
    seconds, done = processor.python("-m", "seglight", option)
    assert says in done.stdout
    assert not done.stderr
    assert seconds < 1


def test_an_exported_net_predicts_without_torch_in_seconds(tmp_path: Path) -> None:
    """1.5 s are promised on a quiet machine; here they are of the processor, and it may be a slower one."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    command = ("predict", red(tmp_path / "red.onnx"), tmp_path / "one.png", "--out")
    seconds, done = processor.python("-c", LOADED, *command, tmp_path / "masks")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"LOADED", "onnxruntime"} <= loaded
    assert not loaded & {"torch", "lightning", "timm", "torchmetrics", "matplotlib", "albumentations"}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / "one.png")), pixels[..., 0] > 127)
    assert seconds < 5
