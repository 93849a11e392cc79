"""Frost: crystals of ice that are drawn for each image.

The published package blends photographs of frost into the image. Here they are drawn: stems with side branches at 60
degrees, as ice grows, over clouds of rime. Brightness and contrast are those of the photographs; their shapes are not.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.robustness.corruptions.values import UNIT, Floats, Pixels, truncated

FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
"""Weights of the image and of the frost."""

MEAN = (0.56, 0.64, 0.685)
"""Mean of red, green and blue, in [0, 1]."""

SPREAD = 0.097
"""Standard deviation of the brightness."""

PIXELS_OF_A_STEM = 2500
"""Pixels of the image for each stem."""

CELLS = (3, 8, 24)
"""Cells of the clouds along each side, by scale."""

BRANCHES = 16
"""Side branches of a stem, half of them on each side."""


def frost(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Blend frost into the image."""
    own, ice = FROST[severity - 1]
    values = own * UNIT[image].astype(np.float32)
    values += np.float32(ice) * texture(image.shape[0], image.shape[1], rng)
    return truncated(values)


def texture(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Frost (height, width, 3) with values in [0, 1]."""
    canvas = np.zeros((height, width), np.uint8)
    lines = _crystals(height, width, rng)
    cv2.polylines(canvas, list(np.round(lines * 16).astype(np.int32)), False, 255, 1, cv2.LINE_AA, 4)
    crystals = cv2.GaussianBlur(canvas, (0, 0), 0.8).astype(np.float32)
    crystals += 2 * cv2.GaussianBlur(canvas, (0, 0), 3).astype(np.float32)
    clouds = np.sum([_clouds(height, width, cells, rng) for cells in CELLS], 0)
    light = crystals * (0.4 + clouds) / 255 + clouds
    light -= light.mean()
    light *= SPREAD / max(float(light.std()), 1e-6)
    frozen: NDArray[np.float32] = np.clip(light[..., None] + np.array(MEAN, np.float32), 0, 1)
    return frozen


def _clouds(height: int, width: int, cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise (height, width), weaker the finer it is."""
    coarse = rng.random((cells, cells), np.float32)
    smooth = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return smooth * np.float32(CELLS[0] / cells)


def _crystals(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Stems and their side branches: ends (lines, 2, 2) as x and y in pixels."""
    stems = max(3, height * width // PIXELS_OF_A_STEM)
    start = rng.random((stems, 1, 2)) * (width, height)
    angle = rng.uniform(0, 2 * np.pi, (stems, 1))
    length = rng.uniform(15, 90, (stems, 1))
    along = rng.random((stems, BRANCHES))
    side = angle + np.pi / 3 * np.where(np.arange(BRANCHES) % 2, 1, -1)
    reach = 0.4 * length * (1 - along) * rng.uniform(0.5, 1, along.shape)
    root = start + (along * length)[..., None] * _direction(angle)
    stem = np.stack([start, start + length[..., None] * _direction(angle)], 2)
    branches = np.stack([root, root + reach[..., None] * _direction(side)], 2)
    return np.concatenate([stem, branches], 1).reshape(-1, 2, 2)


def _direction(angle: Floats) -> Floats:
    return np.stack([np.cos(angle), np.sin(angle)], -1)
