"""The setting of OpenCV's threads, which belongs to the process and not to this package."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np
import pytest

from seglight.data.augmentation.transforms import Augmentation
from seglight.images.opencv import single_threaded_opencv


@pytest.fixture
def threads() -> Iterator[int]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield 3
    cv2.setNumThreads(before)


def test_within_the_block_only(threads: int) -> None:
    with suppress(KeyError), single_threaded_opencv():
        assert cv2.getNumThreads() == 1
        raise KeyError
    assert cv2.getNumThreads() == threads


def test_a_forked_process_after_its_parent_has_used_threads(threads: int) -> None:
    """The parent's pool is not there in a fork, which would wait for it for ever."""
    image = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    expected = cv2.resize(image, (1500, 1500))
    child = os.fork()
    if child == 0:
        with single_threaded_opencv():
            same = np.array_equal(cv2.resize(image, (1500, 1500)), expected)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_augmentation_is_the_same_with_threads_and_without(seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (1200, 1600, 3), np.uint8)
    mask = rng.integers(0, 5, (1200, 1600), np.uint8)
    augmentation = Augmentation(crop_size=1024, scale=(0.5, 2.0))
    several = augmentation(image, mask, (seed, 0, 0))
    with single_threaded_opencv():
        one = augmentation(image, mask, (seed, 0, 0))
    np.testing.assert_array_equal(several[0], one[0])
    np.testing.assert_array_equal(several[1], one[1])


IMPORTS = """
import os, urllib.request
import cv2, lightning.pytorch
urllib.request.OpenerDirector.open = lambda *args, **kwargs: os._exit(3)
cv2.setNumThreads(3)
before = dict(os.environ)
import seglight.data.augmentation.transforms, seglight.data.datamodule, seglight.images.video
after = dict(os.environ)
assert after == before, {key: value for key, value in after.items() if before.get(key) != value}
assert cv2.getNumThreads() == 3, cv2.getNumThreads()
"""


def test_imports_change_nothing_for_the_process_and_ask_no_server() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", IMPORTS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
