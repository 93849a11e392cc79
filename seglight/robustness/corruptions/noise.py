"""Noise: Gaussian, of photons (shot), of impulses, and speckle. Each value of a pixel has noise of its own."""

import numpy as np

from seglight.robustness.corruptions.values import UNIT, Pixels, truncated

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)
"""Standard deviation, for values in [0, 1]."""

PHOTONS = (60, 25, 12, 5, 3)
"""Mean number of photons of the value 1."""

FLIPPED = (0.03, 0.06, 0.09, 0.17, 0.27)
"""Share of the values that become 0 or 1."""

SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)
"""Standard deviation of the noise of the value 1; that of others is proportional to them."""


def gaussian_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Add normal noise."""
    values = rng.normal(0.0, GAUSSIAN[severity - 1], image.shape)
    values += UNIT[image]
    return truncated(values)


def shot_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Replace values by numbers of photons, which follow a Poisson distribution."""
    photons = PHOTONS[severity - 1]
    counts = rng.poisson((UNIT * photons)[image])
    levels = truncated(np.arange(photons + 1) / photons)
    return levels[np.minimum(counts, photons, out=counts)]


def impulse_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Set some values to black or white, either with the same probability."""
    share = FLIPPED[severity - 1]
    draw = rng.random(image.shape, np.float32)
    noisy = truncated(UNIT)[image]
    noisy[draw < share] = 0
    noisy[draw < share / 2] = 255
    return noisy


def speckle_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Multiply values by normal noise around 1."""
    values = rng.normal(0.0, SPECKLE[severity - 1], image.shape)
    level = UNIT[image]
    values *= level
    values += level
    return truncated(values)
