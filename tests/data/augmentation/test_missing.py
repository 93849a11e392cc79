"""Covers: data.augmentation.windows."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data import Augmentation
from seglight.data.augmentation.missing import avoid_nodata, limits, resized, resized_valid
from seglight.data.augmentation.windows import flipped
from seglight.images.bands import Bands

TYPES = ("uint8", "uint16", "int16", "float32")
RANGES = {"uint8": (0, 256), "uint16": (0, 65536), "int16": (-32768, 32768), "float32": (-3, 3)}
STILL: dict[str, Any] = {"scale": (1.0, 1.0), "flip": 0.0, "photometric": 0.0}


def described(count: int, kind: str, **given: Any) -> Bands:
    middle = sum(RANGES[kind]) / 2
    values = {"mean": (middle,) * count, "std": (1.0 + abs(middle) / 4,) * count, **given}
    return Bands(tuple(f"b{k}" for k in range(count)), kind, **values)


def drawn(count: int, kind: str, size: tuple[int, int] = (20, 30)) -> NDArray[Any]:
    rng = np.random.default_rng(count)
    low, high = RANGES[kind]
    shape = (*size, count)
    return (
        rng.uniform(low, high, shape).astype(np.float32) if kind == "float32" else rng.integers(low, high, shape, kind)
    )


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 13, 128, 129, 200])
def test_each_band_is_resized_and_mirrored_as_by_itself(count: int, kind: str) -> None:
    image = drawn(count, kind)
    for interpolation, size in ((cv2.INTER_LINEAR, (41, 17)), (cv2.INTER_NEAREST_EXACT, (9, 61))):
        alone = [
            cv2.resize(np.ascontiguousarray(image[..., k]), size[::-1], interpolation=interpolation)
            for k in range(count)
        ]
        found = resized(image, size, interpolation)
        assert found.dtype == image.dtype
        step = 1e-5 if kind == "float32" else kind != "uint8" and interpolation == cv2.INTER_LINEAR  # of rounding
        np.testing.assert_allclose(found.astype(np.float64), np.stack(alone, 2), rtol=0, atol=float(step))
    np.testing.assert_array_equal(flipped(image), image[:, ::-1], strict=True)


@pytest.mark.parametrize(
    ("kind", "given", "gone"),
    [
        ("uint8", {"nodata": 0}, 0),
        ("uint16", {"nodata": 0, "mean": (9000.0,) * 2}, 0),
        ("uint16", {"valid": (100, 60000)}, 65535),
        ("int16", {"nodata": -9999}, -9999),
        ("float32", {"nodata": -9999.0}, -9999),
        ("float32", {}, np.nan),
        ("float32", {}, np.inf),
    ],
)
@pytest.mark.parametrize("size", [(60, 90), (11, 13), (31, 20)])
def test_values_without_data_do_not_mix_with_others(kind: str, given: Any, gone: float, size: tuple[int, int]) -> None:
    bands = described(2, kind, **given)
    least, most = (101, 120) if kind != "float32" else (1, 2)
    image = np.full((20, 30, 2), least, kind)
    image[:, 15:] = most
    holes = np.zeros((20, 30, 2), bool)
    holes[5:9, 3:8] = holes[2, 20, 0] = True  # the last one in one band only
    image[holes] = gone
    found = resized_valid(image, size, bands)
    planes = [np.ascontiguousarray(holes[..., k]).view(np.uint8) for k in range(2)]
    expected = np.stack([cv2.resize(one, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for one in planes], 2) > 0
    np.testing.assert_array_equal(bands.invalid(found), expected)
    assert len(np.unique(found[expected])) == 1
    means = [*bands.fill, least, most]
    data = found[~expected]
    assert data.min() >= min(means)
    assert data.max() <= max(means), "between the values and the mean, whatever marks no data"
    far = np.ones((20, 30), np.uint8)
    far[3:11, 1:10] = far[0:5, 18:23] = 0
    far[:, 14:16] = 0
    away = cv2.resize(far, size[::-1], interpolation=cv2.INTER_AREA) == 1
    assert set(np.unique(found[away])) <= {least, most}


def test_no_value_that_is_data_becomes_nodata() -> None:
    bands = described(1, "int16", nodata=0)
    image = np.array([[-100, 100]], np.int16).repeat(8, 0)[..., None]
    found = resized_valid(image, (8, 101), bands)
    plain = cv2.resize(image[..., 0], (101, 8), interpolation=cv2.INTER_LINEAR)
    assert (plain == 0).any()
    assert not bands.invalid(found).any()
    np.testing.assert_allclose(found[..., 0], plain, rtol=0, atol=1)
    floats = np.array([[[-1.5]], [[2.0]]], np.float32)
    avoid_nodata(floats, described(1, "float32", nodata=-1.5))
    assert floats[0, 0, 0] == np.nextafter(np.float32(-1.5), np.float32(0))
    top = np.array([[[255], [254]]], np.uint8)
    avoid_nodata(top, described(1, "uint8", nodata=255))
    assert top.ravel().tolist() == [254, 254]


def test_limits_are_those_of_the_type_and_of_valid() -> None:
    assert limits(described(1, "int16")) == (-32768, 32767)
    assert limits(described(1, "uint16", valid=(0.5, 9999.5))) == (1, 9999)
    assert limits(described(1, "float32", valid=(-0.5, 1.5))) == (-0.5, 1.5)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("count", [1, 3, 4, 12, 200])
def test_padding_is_no_data_or_the_mean_and_ignored(count: int, kind: str) -> None:
    image, mask = drawn(count, kind, (10, 12)), np.ones((10, 12), np.uint8)
    means = tuple(float(k % 7 + 2) for k in range(count))
    plain, marked = described(count, kind, mean=means), described(count, kind, nodata=1)
    for bands in (plain, marked):
        found, labels = Augmentation(16, **STILL)(image, mask, (0, 0, 0), bands)
        assert (found.shape, found.dtype) == ((16, 16, count), np.dtype(kind))
        np.testing.assert_array_equal(found[labels == 1], image.reshape(-1, count))
        wanted = (1,) * count if bands is marked else (np.nan,) * count if kind == "float32" else means
        np.testing.assert_array_equal(found[labels == 255], np.broadcast_to(wanted, (16 * 16 - 120, count)))


@pytest.mark.parametrize("kind", TYPES)
def test_a_crop_of_described_bands_is_that_of_opencv(kind: str) -> None:
    """The window that is drawn, resized by OpenCV band by band, mirrored and turned by NumPy."""
    image, mask = drawn(6, kind, (40, 50)), np.random.default_rng(0).integers(0, 4, (40, 50), np.uint8)
    bands = described(6, kind)
    for index in range(6):
        found, labels = Augmentation(24, (0.8, 0.8), 0.5, 0.0, rot90=0.5)(image, mask, (3, 1, index), bands)
        rng = np.random.default_rng((3, 1, index))
        rng.uniform(0.8, 0.8)
        top, left = int(rng.integers(0, 11)), int(rng.integers(0, 21))  # a window of 30 pixels
        part = image[top : top + 30, left : left + 30]
        expected = np.stack([cv2.resize(part[..., k], (24, 24)) for k in range(6)], 2)
        classes = cv2.resize(mask[top : top + 30, left : left + 30], (24, 24), interpolation=cv2.INTER_NEAREST_EXACT)
        if rng.random() < 0.5:
            expected, classes = expected[:, ::-1], classes[:, ::-1]
        if rng.random() < 0.5:
            turns = rng.integers(1, 4)
            expected, classes = np.rot90(expected, turns), np.rot90(classes, turns)
        step = 1e-5 if kind == "float32" else 1
        np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=0, atol=step)
        np.testing.assert_array_equal(labels, classes)
