"""Values by hand, and against numpy.

Covers: images.band_names, images.band_values.
"""

import json
import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from seglight.errors import UserError
from seglight.images.bands import RGB, Bands, unnamed

FOUR = {
    "names": ["blue", "green", "red", "nir"],
    "type": "uint16",
    "mean": [400, 500.5, 600, 2000],
    "std": [100, 100, 100, 500],
    "nodata": 0,
}


def test_without_a_description_it_is_8_bit_rgb() -> None:
    assert RGB.is_rgb8
    assert RGB.inputs == ("red", "green", "blue")
    assert (RGB.shown, RGB.padding, RGB.missing, RGB.has_nodata) == ((0, 1, 2), (128.0,) * 3, None, False)
    assert Bands.from_dict({"names": ["red", "green", "blue"]}) == RGB
    assert not Bands(mean=(100, 100, 100), std=(50, 50, 50)).is_rgb8  # normalised by the data's own statistics


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"nodata": "nan", "type": "float32"},
        {"valid": [1, 10000], "clip": {"red": [0, 3000]}, "log": ["nir"], "rgb": ["nir", "red", "green"]},
        {"ratios": {"ndvi": ["nir", "red"]}, "files": "{name}_{band}.tif"},
        {"pages": True},
    ],
)
def test_a_description_is_the_same_after_yaml_and_json(more: dict[str, Any]) -> None:
    bands = Bands.from_dict(FOUR | more)
    assert Bands.from_dict(json.loads(json.dumps(bands.to_dict(), allow_nan=False))) == bands
    assert Bands.from_dict(yaml.safe_load(yaml.safe_dump(bands.to_dict()))) == bands
    assert hash(bands) == hash(Bands.from_dict(bands.to_dict()))
    assert not bands.is_rgb8


def test_a_value_without_data_is_found_by_nodata_range_and_finiteness() -> None:
    image = np.array([[[0, 5], [3, 9]], [[0, 0], [7, 0]]], np.uint16)
    bands = Bands(("a", "b"), "uint16", (1, 1), (1, 1), nodata=0, valid=(0, 8))
    np.testing.assert_array_equal(bands.invalid(image), [[[1, 0], [0, 1]], [[1, 1], [0, 1]]])
    np.testing.assert_array_equal(bands.without_data(image), [[False, False], [True, False]])
    thermal = Bands(("heat",), "float32", (20,), (5,))
    assert thermal.has_nodata
    assert math.isnan(thermal.missing or 0)
    values = np.array([[[1.5], [np.nan], [np.inf]]], np.float32)
    np.testing.assert_array_equal(thermal.without_data(values), [[False, True, True]])


def test_padding_is_no_data_or_the_mean_as_it_is_stored() -> None:
    assert Bands.from_dict(FOUR).padding == (0, 0, 0, 0)
    without = {key: value for key, value in FOUR.items() if key != "nodata"}
    assert Bands.from_dict(without).padding == (400, 500, 600, 2000)
    assert Bands.from_dict(without | {"valid": [1, 9000]}).padding == (0, 0, 0, 0)
    assert Bands.from_dict(without | {"valid": [0, 9000]}).padding == (9001,) * 4
    logarithmic = Bands(("a",), "uint16", (math.log(1 + 90),), (1,), log=("a",), clip={"a": (10, 1000)})
    assert logarithmic.fill == (100,)


def test_the_bands_that_are_shown() -> None:
    assert Bands.from_dict(FOUR).shown == (2, 1, 0)
    assert Bands.from_dict(FOUR | {"rgb": ["nir", "red", "green"]}).shown == (3, 2, 1)
    assert Bands.from_dict(FOUR | {"rgb": ["nir"]}).shown == (3,)
    assert unnamed(2).shown == (0,)
    assert unnamed(5).shown == (0, 1, 2)
    names = tuple(f"B{number:02d}" for number in range(1, 13))
    assert Bands(names, "uint16", (1,) * 12, (1,) * 12).shown == (3, 2, 1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"type": "uint32"}, r"^bands.type uint32: images are of type uint8, uint16, int16, float32$"),
        ({"mean": [1, 2]}, r"^bands.mean: 2 values for 4 bands: `seglight doctor` measures them"),
        ({"mean": None, "std": None}, r"^bands.mean: 0 values for 4 bands"),
        ({"std": [1, 2, 0, 1]}, r"^bands.std .*: give finite numbers, above 0$"),
        ({"std": [1, 2, 1e-50, 1]}, r"^bands.std .*: beyond the numbers of float32"),
        ({"mean": [1, 2, 1e60, 1]}, r"^bands.mean .*: beyond the numbers of float32"),
        ({"nodata": -1}, r"^bands.nodata -1: no value of type uint16$"),
        ({"nodata": 0.5}, r"^bands.nodata 0.5: no value of type uint16$"),
        ({"valid": [5, 5]}, r"^bands.valid \[5.0, 5.0\]: give \[least, greatest\]$"),
        ({"valid": [70000, 80000]}, r"^bands.valid .*: no value of type uint16, 0 to 65535$"),
        ({"clip": [0, 1]}, r"^bands: \[0, 1\] has no names of bands as keys, as in '{red: \[...\]}', in `clip`"),
        ({"clip": {"swir": [0, 1]}}, r"^bands.clip: there is no band swir: the bands are blue, green, red, nir$"),
        ({"ratios": {"ndvi": ["nir", "nir"]}}, r"^bands.ratios.ndvi .*: name two bands"),
        ({"ratios": {"red": ["nir", "red"]}}, r"^bands.names: red stands for two bands"),
        ({"rgb": ["red", "green"]}, r"^bands.rgb .*: name three bands, or one"),
        ({"files": "{name}.tif"}, r"^bands.files {name}.tif: the pattern needs {name} and {band}"),
        ({"names": ["a", "a", "b", "c"]}, r"^bands.names: a stands for two bands"),
        ({"names": "abcd"}, r"^bands: 'abcd' is not a list of names"),
        ({"pages": "yes"}, r"^bands: 'yes' is neither true nor false"),
        ({"mena": [1]}, r"^`mena` in bands is not known: the keys are names, type, mean"),
    ],
)
def test_what_is_not_valid_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        Bands.from_dict(FOUR | change)


def test_8_bit_bands_without_statistics_are_kept_by_a_card() -> None:
    bands = Bands(("red", "green", "blue", "nir"))
    assert Bands.from_dict(bands.to_dict()) == bands


def test_8_bit_bands_without_statistics_are_refused_in_files() -> None:
    with pytest.raises(UserError, match=r"^bands.mean is missing: `seglight doctor` measures it"):
        Bands.from_dict({"names": ["red", "green", "blue", "nir"], "type": "uint8"})
    with pytest.raises(UserError, match=r"^bands: it should be"):
        Bands.from_dict([1])


def test_200_bands_and_no_more() -> None:
    assert len(unnamed(200).names) == 200
    with pytest.raises(UserError, match=r"^bands.names: 201 bands, where there must be 1 to 200$"):
        unnamed(201)
    assert "2 bands of uint8 (band 1, band 2)" in unnamed(2).line()


def test_what_a_net_would_read_wrongly() -> None:
    four = Bands.from_dict(FOUR)
    assert RGB.difference(RGB) is None
    assert four.difference(replace(four, mean=(0.0,) * 4, rgb=("nir",), files="{name}_{band}.tif")) is None
    assert replace(RGB, names=("R", "G", "B")).difference(RGB) is None
    other_order = replace(four, names=("red", "green", "blue", "nir"))
    assert four.difference(other_order) == (
        "4 bands of uint16 (blue, green, red, nir) and 4 bands of uint16 (red, green, blue, nir)"
    )
    assert four.difference(replace(four, type="int16")) is not None
    more = replace(four, nodata=None, clip={"red": (0, 3000)})
    assert four.difference(more) == "4 bands of uint16 (blue, green, red, nir) with other `nodata`, `clip`"
    renamed = replace(four, names=("blue", "green", "red", "infrared"))
    assert str(four.difference(renamed)).endswith("that were only renamed need their former names)")
    sentinel = replace(four, names=("B02", "B03", "B04", "NIR"), log=("B04",), clip={"B02": (0, 9)})
    assert sentinel.difference(replace(four, log=("red",), clip={"blue": (0, 9)})) is None
    pairs = {"ndvi": ("nir", "red"), "ndwi": ("green", "nir")}
    turned = dict(reversed(pairs.items()))  # equal as dicts, but the inputs are in another order
    assert replace(four, ratios=turned).difference(replace(four, ratios=pairs)) == f"{four.line()} with other `ratios`"
    heat = Bands(("heat",), "float32", (290.0,), (9.0,), nodata=float("nan"))
    assert heat.difference(pickle.loads(pickle.dumps(heat))) is None


def test_nodata_of_float32_is_what_its_pixels_hold() -> None:
    """Files state it in decimals, often those of the least value of either type."""
    heat = Bands(("heat",), "float32", (290.0,), (9.0,), nodata=-3.40282346639e38)
    assert heat.nodata == float(np.finfo(np.float32).min)
    nodata = replace(heat, nodata=-1.7e308).nodata
    assert nodata is not None
    assert math.isnan(nodata)
    with pytest.raises(UserError, match=r"^bands.valid \[0, inf\]: give"):
        replace(heat, valid=(0, math.inf))


def test_names_that_differ_in_case_only_are_two_bands() -> None:
    both = Bands(("a", "A"), "uint16", (1.0, 2.0), (1.0, 1.0))
    assert both.difference(replace(both, names=("A", "a"))) is not None
    assert both.difference(Bands(("a", "A"), "uint16", (3.0, 4.0), (1.0, 1.0))) is None
    clipped = replace(both, clip={"a": (0.0, 9.0)})
    assert clipped.difference(replace(both, clip={"A": (0.0, 9.0)})) is not None
    assert replace(both, log=("a",)).difference(replace(both, log=("A",))) is not None
    assert replace(both, names=("a", "b")).difference(replace(both, names=("A", "B"))) is None


def test_two_names_of_a_colour_are_two_bands() -> None:
    both = Bands(("red", "B04", "green", "blue"), "uint8", (1.0,) * 4, (1.0,) * 4)
    assert both.shown == (0, 2, 3)
    assert both.difference(replace(both, names=("B04", "red", "green", "blue"))) is not None
