"""Pictures of images of any bands, stretched by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.images.bands import RGB, Bands
from seglight.images.stretch import stretched, without_data

TYPES = ("uint8", "uint16", "int16", "float32")


def described(count: int, kind: str, **given: Any) -> Bands:
    names = given.pop("names", tuple(f"b{k}" for k in range(count)))
    return Bands(names, kind, (1.0,) * count, (1.0,) * count, **given)


def by_hand(plane: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane.astype(float), (2, 98))
    return ((plane.astype(float) - low) / (high - low) * 255).round().clip(0, 255).astype(np.uint8)


def test_8_bit_rgb_is_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    assert stretched(image, RGB) is image


@pytest.mark.parametrize("kind", TYPES)
def test_each_shown_band_is_stretched_between_its_percentiles(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal((100, 120, 60, 90), (9, 20, 5, 40), (50, 60, 4)).clip(0, 255).astype(kind)
    bands = described(4, kind, names=("blue", "green", "red", "nir"))
    expected = np.stack([by_hand(image[..., band]) for band in (2, 1, 0)], 2)
    assert np.abs(stretched(image, bands).astype(int) - expected).max() <= 1
    falsely = described(4, kind, rgb=("b3", "b2", "b1"))
    expected = np.stack([by_hand(image[..., band]) for band in (3, 2, 1)], 2)
    assert np.abs(stretched(image, falsely).astype(int) - expected).max() <= 1
    one = described(1, kind)
    expected = by_hand(image[..., 0])
    assert np.abs(stretched(image[..., :1], one).astype(int) - expected[..., None]).max() <= 1
    assert stretched(image[..., :2], described(2, kind)).shape == (50, 60, 3)


@pytest.mark.parametrize(("kind", "given", "gone"), [("uint16", {"nodata": 0}, 0), ("float32", {}, np.nan)])
def test_what_is_no_data_has_no_part_in_it_and_is_grey(kind: str, given: Any, gone: float) -> None:
    rng = np.random.default_rng(0)
    image, bands = rng.integers(500, 900, (40, 50, 3)).astype(kind), described(3, kind, **given)
    image[:10] = gone
    image[20, 20, 1] = gone
    found = stretched(image, bands)
    valid = ~bands.invalid(image)
    for band in range(3):
        values = image[..., band][valid[..., band]].astype(float)
        low, high = np.percentile(values, (2, 98))
        expected = ((values - low) / (high - low) * 255).round().clip(0, 255)
        assert np.abs(found[..., band][valid[..., band]] - expected).max() <= 1
    assert (found[:10] == 120).all()
    assert found[20, 20, 1] == 0
    missing = without_data(image, bands)
    assert missing is not None
    assert missing[:10].all()
    assert missing.sum() == 500


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 2, 3, 200])
@pytest.mark.parametrize("kind", TYPES)
def test_no_image_fails(kind: str, count: int) -> None:
    low, high = (np.finfo(kind) if kind == "float32" else np.iinfo(kind)).min, None
    high = (np.finfo(kind) if kind == "float32" else np.iinfo(kind)).max
    bands = described(count, kind, nodata=0)
    for value in (low, 0, 5, high):
        image = np.full((6, 7, count), value, kind)
        found = stretched(image, bands)
        assert (found.shape, found.dtype) == ((6, 7, 3), np.uint8)
        assert (found == (120 if value == 0 else 128)).all()
    image[0, 0] = low
    assert stretched(image, bands).shape == (6, 7, 3)
    if kind == "float32":
        for value in (np.nan, np.inf, -np.inf):
            assert (stretched(np.full((6, 7, count), value, kind), bands) == 120).all()


def test_large_images_are_stretched_as_their_rows_and_columns_are() -> None:
    image = np.random.default_rng(0).normal(1000, 100, (1700, 1300, 1)).astype(np.float32)
    found = stretched(image, described(1, "float32"))
    assert np.abs(found[..., 0].astype(int) - by_hand(image[..., 0])).max() <= 3


def test_bands_that_are_not_described_are_shown_as_their_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 5), np.uint8)
    np.testing.assert_array_equal(stretched(image, RGB)[..., 1], image.mean(2).round())
    assert without_data(image, RGB) is None
