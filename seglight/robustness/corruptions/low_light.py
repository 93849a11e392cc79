"""Low light, by a model of a camera's sensor."""

import numpy as np
from numpy.typing import NDArray

from seglight.robustness.corruptions.values import UNIT, Floats, Pixels

STOPS = (2, 3, 4, 6, 8)
"""Number of times that the exposure is halved."""

ELECTRONS = 5000.0
"""Electrons of a pixel that is white at the full exposure."""

READ_NOISE = 4.0
"""Standard deviation of the sensor's own noise in electrons."""

EDGE = 0.0031308
"""Linear value below which sRGB is a straight line (IEC 61966-2-1)."""

LINEAR = np.where(UNIT <= 12.92 * EDGE, UNIT / 12.92, ((UNIT + 0.055) / 1.055) ** 2.4)
"""Linear value of each byte."""


def low_light(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Expose the image less, with the noise of photons and of the sensor, and let gain bring back half of the stops."""
    linear = exposed(LINEAR[image], STOPS[severity - 1], rng)
    return np.round(255 * _srgb(linear)).astype(np.uint8)


def exposed(linear: Floats, stops: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Linear values of a darker exposure.

    A pixel collects a Poisson number of electrons and is read with normal noise (Foi et al., Practical
    Poissonian-Gaussian noise modeling and fitting for single-image raw-data, IEEE TIP 2008). Gain then brightens the
    image by half of the stops, as far as cameras go before they leave it dark.

    Args:
        linear: Linear values in [0, 1].
        stops: Number of times that the exposure is halved.
        rng: Source of the noise.
    """
    exposure = 2.0**-stops
    electrons = rng.poisson(linear * (ELECTRONS * exposure)) + rng.normal(0.0, READ_NOISE, linear.shape)
    values: NDArray[np.float64] = electrons * (2 ** (stops / 2) / ELECTRONS)
    return values


def _srgb(linear: Floats) -> Floats:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= EDGE, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
