"""A stated memory is kept: what is planned from it, and what a process then holds."""

import os
import subprocess
import sys

import pytest

from seglight.errors import UserError
from seglight.inference import SlidingWindow, WholeImage
from seglight.inference.plan import WINDOWS, Passes, plan
from tests.support.hungry import Hungry, held
from tests.support.tiny import TinyNet


def test_passes_are_extrapolated_by_the_power_that_they_show() -> None:
    linear = Passes([(100, 1000), (400, 4000)], (5, 10, 10), 20)
    assert [linear.bytes(pixels) for pixels in (50, 100, 200, 1600)] == [500, 1000, 2000, 16000]
    assert linear.logit_bytes(1600) == 4 * 5 * 20 * 20
    attention = Passes([(100, 1000), (400, 16000)], (5, 10, 10), 20)
    assert attention.bytes(1600) == 256000
    assert Passes([(100, 1000), (400, 1000)], (5, 10, 10), 20).bytes(1600) == 4000, "never less than by the pixels"


@pytest.mark.parametrize(("each", "expected"), [(1000, 1024), (8000, 384), (40000, 128)])
def test_the_largest_window_that_fits(each: int, expected: int) -> None:
    """2.5 GB more than the process holds; a window's pixels times `each`, with a quarter to spare."""
    inferer = plan(Hungry(each), (3000, 4000), held() + int(2.5e9))
    assert inferer == SlidingWindow(expected)
    larger = [window for window in WINDOWS if window > expected]
    assert not larger or 1.25 * each * larger[-1] ** 2 > 2.5e9 - 1e9
    assert 1.25 * each * expected**2 < 2.5e9


def test_the_whole_image_where_it_fits() -> None:
    assert plan(TinyNet(3).eval(), (300, 400), held() + int(1e9)) == WholeImage()


@pytest.mark.parametrize("max_memory", [1, 10**8])
def test_too_little_memory(max_memory: int) -> None:
    with pytest.raises(UserError, match=r"--max_memory .* GB: .* are held already"):
        plan(TinyNet(3).eval(), (300, 400), max_memory)


PROOF = """
import sys
from pathlib import Path
import numpy as np, torch
from seglight.inference.plan import plan
from tests.support.tiny import TinyNet

class Drawn:
    def __init__(self, height, width):
        self.shape = (height, width)

    def read(self, rows, columns):
        shape = (rows.stop - rows.start, columns.stop - columns.start, 3)
        return np.random.default_rng(rows.start).integers(0, 256, shape, np.uint8)

max_memory, height, width = map(int, sys.argv[1:])
net, source = TinyNet(19).eval(), Drawn(height, width)
inferer = plan(net, source.shape, max_memory)
rows = sum(len(band) for _, band in inferer.rows(net, source))
assert rows == height
# not ru_maxrss, which begins with what the parent held
(peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(inferer.window, int(peak) << 10)
"""


def peak_of(max_memory: int, height: int, **environment: str) -> int:
    """Bytes that a process held at most over an image 8000 pixels wide: 3.6 GB of logits at a height of 6000."""
    command = [sys.executable, "-c", PROOF, str(max_memory), str(height), "8000"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    window, peak = map(int, done.stdout.split())
    assert peak <= max_memory, f"windows of {window}"
    return peak


@pytest.mark.slow
def test_a_process_holds_no_more_than_the_stated_memory() -> None:
    for max_memory, height in ((700_000_000, 6000), (1_000_000_000, 12000)):
        peak_of(max_memory, height)


@pytest.mark.slow
def test_the_height_of_an_image_makes_no_difference() -> None:
    # what is freed goes back at once: glibc learns else to keep blocks, differently in each run, up to 0.1 GB of them
    returned = {"MALLOC_MMAP_THRESHOLD_": "65536"}
    low = peak_of(1_000_000_000, 6000, **returned)
    assert peak_of(1_000_000_000, 18000, **returned) == pytest.approx(low, rel=0.1)
