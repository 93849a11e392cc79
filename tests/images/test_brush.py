import json
from itertools import groupby

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.errors import UserError
from seglight.images import brush
from seglight.images.brush import brush_pixels, encode_brush
from tests.support.layouts import brush as brush_bit_by_bit
from tests.support.samples import readings, samples

HEADER = f"{7:05b}" + "0010" + "0011" + "0111" + "1111"
"""Values of 8 bits; lengths of 3, 4, 8 and 16 bits."""

SIZES = (3, 4, 8, 16)


def octets(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


def test_real_brushes() -> None:
    folder = samples() / "label-studio/ml-backend-predictions"
    right = readings(samples())["label-studio/ml-backend-predictions"]["test_brush_labels.json"]
    results = [
        result for one in json.loads((folder / "test_brush_labels.json").read_text()) for result in one["result"]
    ]
    found = [int(brush_pixels(bytes(result["value"]["rle"]), 576, 768).sum()) for result in results]
    assert found == [one["alpha_gt_0"] for one in right] == [12104, 5716, 11709]


def test_the_bytes_of_label_studios_own_encoder() -> None:
    root = samples() / "label-studio/brush-made"
    results = json.loads((root / "project-1-at-2024-01-01.json").read_text())[0]["annotations"][0]["result"]
    brushes = [result["value"] for result in results if result["type"] == "brushlabels"]
    assert len(brushes) == 3
    for value in brushes:
        label = value["brushlabels"][0]
        with Image.open(root / f"brush-png/task-1-annotation-2-by-1-tag-{label}-0.png") as png:
            mask = np.asarray(png) > 0
        assert list(encode_brush(mask)) == value["rle"]
        np.testing.assert_array_equal(brush_pixels(bytes(value["rle"]), *mask.shape), mask)


@pytest.mark.parametrize("single", [False, True])
def test_random_brushes(single: bool) -> None:
    rng = np.random.default_rng(0)
    for density in (0.02, 0.5, 0.98, 0.0, 1.0):
        mask = rng.random((37, 23)) < density
        np.testing.assert_array_equal(brush_pixels(bytes(brush_bit_by_bit(mask, single)), 37, 23), mask)


def test_runs_worked_by_hand() -> None:
    # of every 4 values, the last one counts: 5 times 0 as one value, then a list
    bits = f"{12:032b}" + HEADER
    bits += "1" + "00" + "100" + f"{0:08b}"
    bits += "0" + "00" + "110" + "".join(f"{value:08b}" for value in (0, 0, 3, 7, 7, 7, 0))
    data = octets(bits)
    assert brush_pixels(data, 1, 3).tolist() == [[False, True, False]]
    for end in range(7, len(data)):
        with pytest.raises(ValueError, match="end"):
            brush_pixels(data[:end], 1, 3)


def test_lists_and_runs_in_turn_worked_by_hand() -> None:
    bits = f"{12:032b}" + HEADER
    bits += "0" + "00" + "000" + f"{9:08b}"  # one value
    bits += "1" + "11" + f"{2:016b}" + f"{255:08b}"  # three times 255, with a length of 16 bits
    bits += "0" + "01" + f"{1:04b}" + f"{0:08b}" + f"{0:08b}"  # two values, with a length of 4 bits
    bits += "1" + "10" + f"{1:08b}" + f"{0:08b}"  # two times 0, with a length of 8 bits
    bits += "0" + "00" + "011" + f"{5:032b}"  # 0, 0, 0, 5
    assert brush_pixels(octets(bits), 3, 1).tolist() == [[True], [False], [True]]
    assert brush_pixels(octets(bits) + bytes(5), 3, 1).tolist() == [[True], [False], [True]]
    assert brush_pixels(octets(f"{0:032b}" + HEADER), 0, 0).tolist() == []


def test_values_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="values of 16 bits"):
        brush_pixels(octets(f"{4:032b}" + f"{15:05b}" + "0" * 40), 1, 1)


def of_runs(*pixels: int) -> NDArray[np.bool_]:
    """A mask of one row: so many pixels without the stroke, so many with it, and so on."""
    return np.repeat(np.arange(len(pixels)) % 2 == 1, pixels)[None]


LONG = [("111", 16, 65536, 0)]


@pytest.mark.parametrize(
    ("pixels", "packets"),
    [
        # 4 values a pixel: up to 8, 16 and 256 values have lengths of 3, 4 and 8 bits, others of 16
        ((1,), [("100", 3, 4, 0)]),
        ((2, 3), [("100", 3, 8, 0), ("101", 4, 12, 255)]),
        ((4, 5), [("101", 4, 16, 0), ("110", 8, 20, 255)]),
        ((64, 65), [("110", 8, 256, 0), ("111", 16, 260, 255)]),
        ((0, 16384, 16385), [("111", 16, 65536, 255), ("111", 16, 65536, 0), ("111", 16, 4, 0)]),
        ((3 * 16384,), [("111", 16, 65536, 0)] * 3),
        # whose last packet has a length of 16 bits, however short it is
        ((0, 2, 16384 + 2), [("100", 3, 8, 255), ("111", 16, 65536, 0), ("111", 16, 8, 0)]),
        ((16384 + 64, 16384 + 65), [*LONG, ("111", 16, 256, 0), ("111", 16, 65536, 255), ("111", 16, 260, 255)]),
    ],
)
def test_packets_worked_by_hand(pixels: tuple[int, ...], packets: list[tuple[str, int, int, int]]) -> None:
    bits = f"{4 * sum(pixels):032b}" + HEADER
    for kind, size, length, value in packets:
        bits += kind + f"{length - 1:0{size}b}" + f"{value:08b}"
    # the kit of Label Studio always pads: by a whole byte where the bits fill theirs
    expected = octets(bits + "0" * (8 - len(bits) % 8))
    assert encode_brush(of_runs(*pixels)) == expected


def test_what_is_packed_is_read_again() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.001, 0.3, 0.5, 1.0):
        mask = rng.random((123, 457)) < density
        np.testing.assert_array_equal(brush_pixels(encode_brush(mask), 123, 457), mask)
    np.testing.assert_array_equal(brush_pixels(encode_brush(mask[::2, ::3]), 62, 153), mask[::2, ::3])


def by_its_rule(mask: NDArray[np.bool_]) -> bytes:
    """What label-studio-sdk writes, bit by bit."""
    bits = f"{4 * mask.size:032b}" + HEADER
    for value, run in groupby(mask.ravel().tolist()):
        length = 4 * len(list(run))
        kind = sum(length > most for most in (8, 16, 256))
        while length:
            written = min(length, 65536)
            bits += f"1{kind:02b}{written - 1:0{SIZES[kind]}b}{255 * value:08b}"
            length -= written
    return octets(bits + "0" * (8 - len(bits) % 8))


def test_random_runs_are_packed_by_the_rule() -> None:
    rng = np.random.default_rng(1)
    lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 16383, 16384, 16385, 40000]
    for _ in range(100):
        number = int(rng.integers(1, 9))
        mask = of_runs(*rng.choice(lengths[:21], number), *rng.choice(lengths, int(rng.integers(0, 3))))
        if mask.size:
            packed = encode_brush(mask)
            assert packed == by_its_rule(mask)
            np.testing.assert_array_equal(brush_pixels(packed, *mask.shape), mask)


@pytest.mark.parametrize("size", [*range(1, 12), 31, 32, 33, 63, 64, 65, 96, 127, 128, 129])
def test_sizes_that_fill_no_words(size: int) -> None:
    ends = np.zeros((2, size), bool)
    ends[0, -1] = ends[1, 0] = True
    noise = np.random.default_rng(size).random((6, size)) < [[0.05], [0.2], [0.5], [0.5], [0.8], [0.95]]
    for mask in [np.zeros(size, bool), np.ones(size, bool), *ends, *~ends, *noise]:
        assert encode_brush(mask[None]) == by_its_rule(mask)


def test_packets_of_all_kinds_in_any_order() -> None:
    rng = np.random.default_rng(2)
    for sizes in (SIZES, (1, 2, 6, 13), (16, 2, 4, 1)):
        for most in (0, 1, 3, 40):  # lists among one value in turn
            bits = f"{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
            values: list[int] = []
            while len(values) < 1500 or len(values) % 4:
                kind = int(rng.integers(4))
                length = min(int(rng.integers(1, 60)), 1 << sizes[kind]) if len(values) < 1500 else 1
                repeated = rng.integers(most + 1) > 0
                some = rng.integers(0, 3, 1 if repeated else length).tolist()
                bits += f"{int(repeated)}{kind:02b}{length - 1:0{sizes[kind]}b}" + "".join(f"{one:08b}" for one in some)
                values += some * length if repeated else some
            data = octets(f"{len(values):032b}" + bits)
            expected = np.array(values)[3::4] > 0
            np.testing.assert_array_equal(brush_pixels(data, 1, len(expected))[0], expected)
            np.testing.assert_array_equal(brush_pixels(data + b"\xff" * 9, 1, len(expected))[0], expected)
            for end in (*range(7, 30), *range(len(data) - 20, len(data))):
                with pytest.raises(ValueError, match="runs that end"):
                    brush_pixels(data[:end], 1, len(expected))


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(UserError, match="an image without pixels"):
        encode_brush(np.ones((0, 7), bool))


def test_images_with_more_values_than_32_bits_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brush, "MOST_PIXELS", 10)
    with pytest.raises(UserError, match="an image of 11 pixels: a brush of Label Studio has at most 10"):
        encode_brush(np.ones((1, 11), bool))
