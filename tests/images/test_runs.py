"""Run lengths of instances against pycocotools, and boundary bands against scipy's erosion."""

import numpy as np
from pycocotools import mask as rle
from scipy import ndimage

from seglight.images.runs import boundary_runs, mask_runs, segment_runs


def test_masks_and_segments() -> None:
    rng = np.random.default_rng(0)
    segments = rng.integers(0, 6, (13, 17), dtype=np.int32)
    segments[segments == 3] = 0
    found = segment_runs(segments, 7)
    assert len(found) == 7
    for number, runs in enumerate(found, 1):
        assert runs["size"] == [13, 17]
        assert isinstance(runs["counts"], str), "JSON has no bytes"
        np.testing.assert_array_equal(rle.decode(runs), segments == number)
    assert segment_runs(np.zeros((3, 4), np.int32), 0) == []
    assert rle.area(segment_runs(np.ones((3, 4), np.int32), 1)[0]) == 12


def test_boundary() -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(40, 50)), 4) > 0
    for width in (1, 3, 30):
        inner = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)
        np.testing.assert_array_equal(rle.decode(boundary_runs(mask_runs(mask), width)), mask & ~inner)
