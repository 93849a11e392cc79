"""Input channels of images of other bands, against NumPy by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.interfaces import bands_of
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.bands import pixels_read, use_bands
from seglight.models.decoders import FPN
from seglight.models.encoders.band_inputs import BandInputs, statistics

NAMES = ("red", "green", "nir", "swir")
RANGES = {"uint8": (0, 256), "uint16": (0, 65536), "int16": (-32768, 32768), "float32": (-20000, 20000)}


def bands(kind: str = "uint16", **values: object) -> Bands:
    given = {"mean": (10.0, 200.0, 3000.0, 4.0), "std": (5.0, 60.0, 700.0, 2.0)} | values
    return Bands(NAMES, kind, **given)  # type: ignore[arg-type]  # values by name


def stored(kind: str, seed: int = 0) -> NDArray[np.generic]:
    """(2, 4, 8, 9) of the whole range of a type."""
    low, high = RANGES[kind]
    return np.random.default_rng(seed).integers(low, high, (2, 4, 8, 9)).astype(kind)


def inputs(image: NDArray[np.generic], described: Bands) -> NDArray[np.float64]:
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in statistics(described))
    found: Tensor = BandInputs(described)(torch.from_numpy(image), mean, std)
    assert found.dtype == torch.float32
    return found.double().numpy()


@pytest.mark.parametrize("kind", RANGES)
def test_values_are_normalised_in_their_own_units(kind: str) -> None:
    image, described = stored(kind), bands(kind)
    mean, std = np.array(described.mean).reshape(4, 1, 1), np.array(described.std).reshape(4, 1, 1)
    assert np.allclose(inputs(image, described), (image.astype(np.float64) - mean) / std, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("kind", "nodata"), [("uint8", 0), ("uint16", 65535), ("int16", -9999), ("float32", -3.4e38)])
def test_nodata_is_the_mean_of_its_band_alone(kind: str, nodata: float) -> None:
    image, described = stored(kind), bands(kind, nodata=nodata, ratios={"ndvi": ("nir", "red")})
    image[0, 1, 2, 3] = image[1, 2, 4, 5] = nodata
    found = inputs(image, described)
    expected = image == np.asarray(nodata, kind)
    assert expected.sum() >= 2
    assert (found[:, :4][expected] == 0).all()
    assert (found[:, 4][expected[:, 2] | expected[:, 0]] == 0).all()
    plain = inputs(image, dataclasses.replace(described, nodata=None))
    assert np.array_equal(found[:, :4][~expected], plain[:, :4][~expected])


def test_nan_and_infinite_values_and_those_beyond_the_valid_range_are_no_data() -> None:
    image = stored("float32")
    image[0, 0, 0, :4] = [np.nan, np.inf, -np.inf, 7.5]
    described = bands("float32", valid=(-1000.5, 1500.25), log=("swir",), ratios={"ndvi": ("nir", "red")})
    found = inputs(image, described)
    bad = ~np.isfinite(image) | (image < -1000.5) | (image > 1500.25)
    assert np.isfinite(found).all()
    assert (found[:, :4][bad] == 0).all()
    assert found[0, 0, 0, 3] == pytest.approx((7.5 - 10) / 5)
    by_numpy = described.invalid(image.transpose(0, 2, 3, 1)[0]).transpose(2, 0, 1)
    assert np.array_equal(by_numpy, bad[0])


def test_ndvi_is_that_of_the_stored_values() -> None:
    image = np.zeros((1, 4, 1, 5), np.uint16)
    image[0, 0, 0] = [1000, 0, 0, 65535, 3000]  # red
    image[0, 2, 0] = [3000, 0, 500, 65535, 1000]  # near infrared
    described = bands("uint16", clip={"nir": (0, 10), "red": (0, 10)}, ratios={"ndvi": ("nir", "red")})
    assert inputs(image, described)[0, 4, 0] == pytest.approx(np.array([0.5, 0, 1, 0, -0.5]) / 0.5)
    given = dataclasses.replace(described, mean=(*described.mean, 0.25), std=(*described.std, 0.125))
    assert inputs(image, given)[0, 4, 0] == pytest.approx((np.array([0.5, 0, 1, 0, -0.5]) - 0.25) / 0.125)


def test_statistics_of_ratios_may_be_given_for_one_of_both() -> None:
    given = bands(mean=(10.0, 200.0, 3000.0, 4.0, 0.25), ratios={"ndvi": ("nir", "red")})
    assert statistics(given) == ((10, 200, 3000, 4, 0.25), (5, 60, 700, 2, 0.5))
    assert statistics(Bands()) == ((), ())


def test_clip_and_log() -> None:
    image = stored("int16")
    described = bands("int16", clip={"red": (-5, 300), "nir": (100, 2000)}, log=("nir", "swir"))
    raw = image.astype(np.float64)
    expected = raw.copy()
    expected[:, 0] = raw[:, 0].clip(-5, 300)
    expected[:, 2] = np.log(1 + raw[:, 2].clip(100, 2000) - 100)
    expected[:, 3] = np.log(1 + raw[:, 3].clip(0, None))
    mean, std = np.array(described.mean).reshape(4, 1, 1), np.array(described.std).reshape(4, 1, 1)
    assert np.allclose(inputs(image, described), (expected - mean) / std, rtol=1e-5, atol=1e-4)


def net(classes: int = 2) -> EncoderDecoder:
    return EncoderDecoder(classes, TimmEncoder("test_resnet", weights="random"), lambda c, s: FPN(c, s, 8, 8))


@pytest.mark.parametrize("kind", RANGES)
def test_other_types_and_numbers_of_bands_are_refused(kind: str) -> None:
    built, described = net().eval(), bands(kind)
    use_bands(built, described)
    image = torch.from_numpy(stored(kind))[..., :8].repeat(1, 1, 8, 8)
    with torch.no_grad():
        assert built(image).logits.isfinite().all()
        other = torch.zeros(1, 4, 64, 64, dtype=torch.int32)
        with pytest.raises(UserError, match=f"the image is int32, and the net reads 4 bands of {kind} \\(red, green"):
            built(other)
        with pytest.raises(UserError, match=r"the image is .*\(2, 3, 64, 64\), and the net reads 4 bands"):
            built(image[:, :3])


def test_attacks_and_mixtures_may_make_floats_of_8_bit_bands() -> None:
    built = net().eval()
    use_bands(built, bands("uint8"))
    image = torch.from_numpy(stored("uint8"))[..., :8].repeat(1, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(built(image).logits, built(image.float()).logits)


def test_16_bit_buffers_are_refused() -> None:
    built = net().eval()
    use_bands(built, bands("uint16"))
    with pytest.raises(UserError, match=r"too coarse for their values: train with trainer.precision bf16-mixed"):
        built.bfloat16()(torch.zeros(1, 4, 64, 64, dtype=torch.uint16))


def test_the_net_tells_what_it_reads_and_keeps_it() -> None:
    built, described = net(), bands("float32", nodata=math.nan, ratios={"ndvi": ("nir", "red")})
    assert pixels_read(built).is_rgb8
    use_bands(built, described)
    use_bands(built, described)
    assert pixels_read(built) == described
    assert bands_of(built) == 4
    use_bands(built, dataclasses.replace(described, mean=(0.0,) * 4))
    assert pixels_read(built) == described
    with pytest.raises(UserError, match=r"weights of TimmEncoder and the images have 4 bands of float32 .* and 4 b"):
        use_bands(built, bands("uint16"))
    with pytest.raises(UserError, match=r"have 4 bands of float32 .* with other `nodata`, `ratios`: take a net that"):
        use_bands(built, bands("float32"))
