"""A command that computes nothing imports nothing heavy."""

import subprocess
import sys
import time

import pytest

import seglight

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
