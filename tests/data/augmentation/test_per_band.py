from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data import Augmentation, PerBand
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands

MEAN, STD = (1000.0, 2000.0, 3000.0), (100.0, 300.0, 500.0)
STILL: dict[str, Any] = {"scale": (1.0, 1.0), "flip": 0.0, "photometric": 0.0}


def described(kind: str = "uint16", **given: Any) -> Bands:
    return Bands(("nir", "swir", "thermal"), kind, MEAN, STD, **given)


def picture(kind: str = "uint16", size: int = 64) -> NDArray[Any]:
    values = np.random.default_rng(0).normal(MEAN, STD, (size, size, 3)).clip(1, 30000)
    return values.astype(np.float32) if kind == "float32" else values.round().astype(kind)


def changed(image: NDArray[Any], bands: Bands, seed: int = 0, **amounts: float) -> NDArray[Any]:
    return PerBand(**amounts)(np.random.default_rng(seed), image, bands)


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_nothing_asked_for_is_nothing_done(kind: str) -> None:
    np.testing.assert_allclose(changed(picture(kind), described(kind)), picture(kind), rtol=1e-6, strict=True)
    logarithm = described(kind, log=("nir",))
    wide = replace(logarithm, mean=(6.9, *MEAN[1:]), std=(0.1, *STD[1:]))
    np.testing.assert_allclose(changed(picture(kind), wide), picture(kind), rtol=2e-6)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_gain_and_offset_are_an_affine_map_of_each_band_about_its_mean(kind: str) -> None:
    image = picture(kind)
    factors, shifts = [], []
    for seed in range(60):
        found = changed(image, described(kind), seed, gain=0.2, offset=0.5)
        for band in range(3):
            factor, constant = np.polyfit(image[..., band].ravel().astype(float), found[..., band].ravel(), 1)
            factors.append(factor)
            shifts.append((constant + (factor - 1) * MEAN[band]) / STD[band])
    assert 0.79 < min(factors) < 0.83 < 1.17 < max(factors) < 1.21
    assert -0.51 < min(shifts) < -0.45 < 0.45 < max(shifts) < 0.51
    assert abs(np.mean(factors) - 1) < 0.03
    assert abs(np.corrcoef(factors, shifts)[0, 1]) < 0.2


def test_gamma_bends_between_the_ends() -> None:
    bands = described(clip={"nir": (800.0, 1400.0)}, valid=(0.0, 5000.0))
    ends = [(800, 1400), (0, 5000), (0, 5000)]
    image = picture()
    for seed in range(5):
        found = changed(image, bands, seed, gamma=0.5)
        rng = np.random.default_rng(seed)
        for _ in range(2):
            rng.uniform(size=3)
        exponents = 1.5 ** rng.uniform(-1, 1, 3)
        for band, (low, high) in enumerate(ends):
            plane = image[..., band].astype(np.float64)
            inside = (plane >= low) & (plane <= high)
            part = (plane[inside] - low) / (high - low)
            expected = low + (high - low) * part ** exponents[band]
            np.testing.assert_allclose(found[..., band][inside], expected, atol=0.6)
            np.testing.assert_array_equal(found[..., band][~inside], image[..., band][~inside])
    without = described()
    found = changed(image, without, 0, gamma=0.5)
    middle = np.abs(image[..., 2] - 3000.0) < 100
    exponent = 1.5 ** np.random.default_rng(0).uniform(-1, 1, 9)[-1]
    expected = 1500 + 3000 * ((image[..., 2][middle] - 1500.0) / 3000) ** exponent
    np.testing.assert_allclose(found[..., 2][middle], expected, atol=0.6)


def test_noise_is_gaussian_in_standard_deviations_of_the_band() -> None:
    image = picture("float32", 128)
    found = [changed(image, described("float32"), seed, noise=0.5) - image for seed in range(20)]
    levels = np.array([one.std((0, 1)) / STD for one in found])
    assert 0 <= levels.min() < 0.1
    assert 0.4 < levels.max() <= 0.51
    assert np.abs(np.array([one.mean((0, 1)) / STD for one in found])).max() < 0.03
    one = found[int(levels[:, 0].argmax())][..., 0]
    assert np.mean(np.abs(one) < one.std()) == pytest.approx(0.683, abs=0.01), "of a normal distribution"
    assert abs(np.corrcoef(one[:-1].ravel(), one[1:].ravel())[0, 1]) < 0.03


def test_a_dropped_band_is_its_mean_and_one_is_left() -> None:
    dropped = []
    for seed in range(300):
        found = changed(picture(size=8), described(), seed, dropout=0.5, noise=0.1, gain=0.1, offset=0.1)
        flat = [bool((found[..., band] == MEAN[band]).all()) for band in range(3)]
        dropped.append(flat)
    assert not np.all(dropped, 1).any()
    shares = np.mean(dropped, 0)  # a half, but for one of three in an eighth of the crops
    assert np.abs(shares - (0.5 - 0.125 / 3)).max() < 0.1
    always = changed(picture(size=8), described(), 0, dropout=1.0)
    assert sum(bool((always[..., band] == MEAN[band]).all()) for band in range(3)) == 2
    single = Bands(("thermal",), "float32", (290.0,), (5.0,))
    one = np.full((4, 4, 1), 300, np.float32)
    assert (changed(one, single, 0, dropout=1.0) == 300).all()


def test_a_logarithm_is_changed_as_the_net_reads_it() -> None:
    bands = Bands(("vv",), "float32", (2.0,), (0.5,), log=("vv",), clip={"vv": (10.0, 10000.0)})
    image = np.random.default_rng(0).uniform(20, 400, (32, 32, 1)).astype(np.float32)
    found = changed(image, bands, 3, offset=1.0)
    moved = np.log1p(found - 10.0) - np.log1p(image - 10.0)
    assert moved.std() < 1e-4
    assert 0 < abs(moved.mean()) <= 0.5
    two = replace(bands, names=("vv", "vh"), mean=(2.0, 2.0), std=(0.5, 0.5))
    fill = changed(np.repeat(image, 2, 2), two, 1, dropout=1.0)
    assert any(np.allclose(fill[..., band], np.expm1(2.0) + 10, rtol=1e-6) for band in range(2))
    assert two.fill[0] == pytest.approx(np.expm1(2.0) + 10)


@pytest.mark.parametrize(("kind", "low", "high"), [("uint8", 0, 255), ("uint16", 0, 65535), ("int16", -32768, 32767)])
def test_values_saturate_at_the_limits_of_the_type(kind: str, low: int, high: int) -> None:
    middle, spread = (low + high) / 2, (high - low) / 3
    bands = Bands(("a", "b"), kind, (middle,) * 2, (spread,) * 2)
    image = np.random.default_rng(0).integers(low, high + 1, (32, 32, 2), kind)
    found = np.stack([changed(image, bands, seed, gain=1.0, offset=1.0) for seed in range(9)])
    assert (found.min(), found.max()) == (low, high)
    order = np.argsort(image[..., 0].ravel())
    for k in range(9):
        assert (np.diff(found[k][..., 0].ravel()[order].astype(float)) >= 0).all(), "nothing wraps around"


@pytest.mark.parametrize(
    ("kind", "given", "gone"),
    [
        ("uint16", {"nodata": 0}, 0),
        ("uint16", {"nodata": 1000}, 1000),
        ("int16", {"valid": (1, 30000)}, -5),
        ("float32", {}, np.nan),
        ("float32", {"nodata": -9999.0}, -9999),
    ],
)
def test_what_is_no_data_stays_so_and_nothing_else_becomes_it(kind: str, given: Any, gone: float) -> None:
    bands, image = described(kind, **given), picture(kind)
    image[bands.invalid(image)] += 1
    holes = np.random.default_rng(1).random(image.shape) < 0.1
    image[holes] = gone
    for seed in range(4):
        found = changed(image, bands, seed, gain=0.9, offset=3.0, gamma=0.5, noise=1.0, dropout=0.5)
        np.testing.assert_array_equal(found[holes], image[holes])
        np.testing.assert_array_equal(bands.invalid(found), holes)


@pytest.mark.parametrize("count", [1, 2, 12, 200])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_a_crop_of_any_bands_is_a_function_of_its_key(count: int, kind: str) -> None:
    bands = Bands(tuple(f"b{k}" for k in range(count)), kind, (90.0,) * count, (20.0,) * count, nodata=3)
    image = np.random.default_rng(0).integers(0, 128, (24, 24, count)).astype(kind)
    mask = np.zeros((24, 24), np.uint8)
    amounts = PerBand(0.1, 0.1, 0.1, 0.1, 0.1)
    augmentation = Augmentation(16, photometric=0, rot90=0.5, per_band=amounts)
    keys = [(0, 0, k) for k in range(5)]
    first = [augmentation(image, mask, key, bands)[0] for key in keys]
    again = [augmentation(image, mask, key, bands)[0] for key in reversed(keys)][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one.shape, one.dtype) == ((16, 16, count), np.dtype(kind))
        np.testing.assert_array_equal(one, other)
    assert len({one.tobytes() for one in first}) == 5


def test_bands_of_8_bit_rgb_need_no_statistics() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    found = changed(image, RGB, gain=0.2)
    assert found.dtype == np.uint8
    assert (found != image).any()


@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        ({"gain": 1.5}, r"gain 1.5 must lie in \[0, 1\]"),
        ({"dropout": -0.1}, r"dropout -0.1 must lie in \[0, 1\]"),
        ({"noise": -1.0}, "noise -1.0 must be at least 0, and finite"),
        ({"offset": np.inf}, "offset inf must be at least 0, and finite"),
        ({"gamma": np.nan}, "gamma nan must be at least 0, and finite"),
    ],
)
def test_senseless_amounts_are_refused(amounts: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=f"^augmentation.per_band: {said}"):
        PerBand(**amounts)


def test_other_bands_than_are_described_are_refused() -> None:
    augmentation = Augmentation(8, **STILL, per_band=PerBand(gain=0.1))
    with pytest.raises(
        UserError, match=r"^augmentation.per_band needs .* 3 bands of uint8 .* has 4 of uint8: describe"
    ):
        augmentation(np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8), np.uint8), (0, 0, 0))
