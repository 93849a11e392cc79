"""Weather and dirt: snow, fog, and spatter of water or mud. Frost has a file of its own."""

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.robustness.corruptions.blur import smeared, smooth
from seglight.robustness.corruptions.resampling import zoomed
from seglight.robustness.corruptions.values import UNIT, Floats, Pixels, truncated

SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
"""Of flakes: mean, standard deviation, size, smallest value, radius and sigma of the path; weight of the image."""

FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
"""Strength of the fog, and the factor by which finer structures are weaker."""

ROUGHNESS = 100.0
"""Square root of the largest structures' amplitude."""

SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6),
    (0.65, 0.3, 3, 0.68, 0.6),
    (0.65, 0.3, 2, 0.68, 0.5),
    (0.65, 0.3, 1, 0.65, 1.5),
    (0.67, 0.4, 1, 0.65, 1.5),
)
"""Of the drops: mean, standard deviation, blur, smallest value; strength of water, blur of mud."""

MUDDY = 4
"""First severity with mud in place of water."""

WATER = np.array([175, 238, 238]) / 255
MUD = np.array([63, 42, 20]) / 255


def snow(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Whiten the image, and add flakes that fall in two opposite directions."""
    mean, spread, size, least, radius, sigma, share = SNOW[severity - 1]
    height, width = image.shape[:2]
    flakes = zoomed(rng.normal(mean, spread, (height, width)), size)
    flakes[flakes < least] = 0
    path = smeared(np.clip(flakes, 0, 1), int(radius), sigma, rng.uniform(-135, -45))
    path = (np.round(path * 255) / 255)[:height, :width, None]
    values = UNIT[image].astype(np.float32)
    grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None]
    whitened = share * values + (1 - share) * np.maximum(values, grey * 1.5 + 0.5)
    return truncated(whitened + path + path[::-1, ::-1])


def fog(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Add clouds, and keep the brightness of the brightest pixel."""
    strength, decay = FOG[severity - 1]
    height, width = image.shape[:2]
    clouds = plasma(1 << (max(image.shape) - 1).bit_length(), decay, rng)[:height, :width, None]
    values = UNIT[image]
    brightest = values.max()
    return truncated((values + strength * clouds) * brightest / (brightest + strength))


def plasma(side: int, decay: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Clouds (side, side) in [0, 1] by the diamond-square algorithm on a torus.

    Args:
        side: Height and width, a power of two.
        decay: Factor by which the square root of the amplitude falls from one scale to the next.
        rng: Source of the displacements.
    """
    clouds = np.zeros((side, side))
    roughness = ROUGHNESS

    def displaced(total: Floats) -> Floats:
        return total / 4 + roughness * rng.uniform(-roughness, roughness, total.shape)

    step = side
    while step > 1:
        half = step // 2
        corners = clouds[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        middles = clouds[half::step, half::step] = displaced(pairs + np.roll(pairs, -1, 1))
        beside = corners + np.roll(corners, -1, 1)
        below = corners + np.roll(corners, -1, 0)
        clouds[::step, half::step] = displaced(middles + np.roll(middles, 1, 0) + beside)
        clouds[half::step, ::step] = displaced(middles + np.roll(middles, 1, 1) + below)
        step = half
        roughness /= decay
    clouds -= clouds.min()
    clouds /= clouds.max()
    return clouds


def spatter(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Add drops of water, or from severity 4 splashes of mud."""
    mean, spread, blur, least, strength = SPATTER[severity - 1]
    drops = smooth(rng.normal(mean, spread, image.shape[:2]), blur)
    drops[drops < least] = 0
    values = UNIT[image].astype(np.float32)
    if severity < MUDDY:
        water = _water(drops)[..., None]
        return truncated(values + water * np.float32(strength) * WATER.astype(np.float32))
    mud = smooth((drops > least).astype(np.float32), strength)
    mud[mud < 0.8] = 0
    mud = mud[..., None]
    return truncated(values * (1 - mud) + mud * MUD)


def _water(drops: Floats) -> NDArray[np.float32]:
    """Brightness (H, W) of drops, up to 1: lit at their upper left edges."""
    liquid = (drops * 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    relief = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    edges = cv2.blur(cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, relief), (3, 3))
    light = liquid.astype(np.float32) * edges.astype(np.float32)
    peak = light.max()
    return light / peak if peak > 0 else light
