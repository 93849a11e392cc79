"""The sensor of low light: mean and variance of electrons, worked by hand."""

import numpy as np
import pytest

from seglight.robustness.corruptions.low_light import LINEAR, exposed, low_light


@pytest.mark.parametrize("stops", [2, 4, 8])
@pytest.mark.parametrize("linear", [0.0, 0.05, 1.0])
def test_mean_and_variance_are_those_of_photons_and_reading(linear: float, stops: int) -> None:
    """5000 electrons at white, halved `stops` times; 4 electrons of read noise; gain of half of the stops."""
    values = exposed(np.full((300, 300), linear), stops, np.random.default_rng(0))
    electrons = 5000 * linear / 2**stops
    gain = 2 ** (stops / 2) / 5000
    deviation = gain * np.sqrt(electrons + 16)
    assert values.mean() == pytest.approx(gain * electrons, abs=4 * deviation / 300)
    assert values.std() == pytest.approx(deviation, rel=0.02)


def test_bytes_are_those_of_srgb() -> None:
    """Half of the linear light is byte 188, IEC 61966-2-1."""
    assert LINEAR[188] == pytest.approx(0.5, abs=0.005)
    assert LINEAR[0] == 0
    assert LINEAR[255] == 1
    white = np.full((200, 200, 3), 255, np.uint8)
    assert low_light(white, 1, np.random.default_rng(0)).mean() == pytest.approx(188, abs=1)
