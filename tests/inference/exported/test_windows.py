"""Exported nets by windows: the labels of the whole image where windows see enough around, within a stated memory.

Covers: inference.exported.metadata.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.inference.exported.windows import WindowedPredictor, spans
from seglight.system.memory import WINDOWS, resident_bytes
from tests.support.exported import Blurred


class Drawn:
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels, self.shape = pixels, pixels.shape[:2]

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        return self.pixels[rows, columns]


def noise(*size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("size", [(300, 517), (128, 400), (40, 50), (129, 128)])
def test_windows_give_the_labels_of_the_whole_image(size: tuple[int, int]) -> None:
    pixels, net = noise(*size), Blurred()
    windowed = WindowedPredictor(net)
    expected = windowed.predict(pixels)
    assert net.seen == [size], "without a limit it sees the whole image"
    windowed.window = 128
    found = np.concatenate(list(windowed.rows(Drawn(pixels))))
    np.testing.assert_array_equal(found, expected)
    assert max(max(seen) for seen in net.seen[1:]) <= 128


@pytest.mark.parametrize(("length", "window"), [(1, 128), (128, 128), (129, 128), (500, 128), (12000, 1024)])
def test_every_pixel_is_given_once_and_lies_within_its_window(length: int, window: int) -> None:
    given = []
    for span in spans(length, window):
        assert span.seen.start % 32 == 0
        assert span.seen.stop - span.seen.start <= window
        assert 0 <= span.kept.start < span.kept.stop <= span.seen.stop - span.seen.start
        given += range(span.seen.start + span.kept.start, span.seen.start + span.kept.stop)
        for edge, side in ((span.seen.start, span.kept.start), (length - span.seen.stop, window - span.kept.stop)):
            assert edge == 0 or side >= window // 8, "an eighth of a window is seen around"
    assert given == list(range(length))


def test_the_largest_window_that_fits() -> None:
    """500 MB more than is held, a kilobyte for a pixel and a quarter to spare: windows of 640, or less."""
    net = Blurred(each=1000)
    windowed = WindowedPredictor(net, resident_bytes() + 500_000_000)
    assert windowed.window == max(side for side in WINDOWS if side <= 640)
    net.seen.clear()
    small, large = noise(300, 400), noise(700, 800)
    windowed.predict(small)
    assert net.seen == [(300, 400)]
    net.each = 0
    np.testing.assert_array_equal(windowed.predict(large), Blurred().predict(large))
    assert len(net.seen) > 2
    with pytest.raises(UserError, match="has them for whole images only"):
        windowed.probabilities(large)
    assert windowed.probabilities(small).shape == (2, 300, 400)


def test_what_cannot_be() -> None:
    with pytest.raises(UserError, match=r"--max_memory 0\.00 GB: .* are held already"):
        WindowedPredictor(Blurred(), 1000)
    fixed = Blurred((360, 480))
    with pytest.raises(UserError, match=r"net\.onnx: takes images of 360x480 only .* export it with --size dynamic"):
        WindowedPredictor(fixed, 10**10)
    with pytest.raises(UserError, match=r"net\.onnx: takes images of 360x480 only .* export it with --size dynamic"):
        next(WindowedPredictor(fixed).rows(Drawn(noise(400, 500))))
    assert WindowedPredictor(fixed).predict(noise(360, 480)).shape == (360, 480)


def test_bands_within_a_limit_are_the_label_map() -> None:
    windowed = WindowedPredictor(Blurred(each=1000), resident_bytes() + 500_000_000)
    pixels = noise(1500, 700)
    bands = [*windowed.label_bands(pixels)]
    assert len(bands) > 1
    np.testing.assert_array_equal(np.concatenate(bands), windowed.predict(pixels))
