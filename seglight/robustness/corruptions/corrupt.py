"""Corrupted images: a pure function of (seed, name of the image, kind, severity)."""

import hashlib
from collections.abc import Callable

import numpy as np

from seglight.errors import UserError
from seglight.robustness.corruptions import blur, digital, noise, weather
from seglight.robustness.corruptions.frost import frost
from seglight.robustness.corruptions.low_light import low_light
from seglight.robustness.corruptions.values import Pixels

CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise",
    "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
"""The 15 common kinds of Hendrycks & Dietterich (ICLR 2019, arXiv 1903.12261): noise, blur, weather, digital."""

VALIDATION_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The four kinds that the same paper adds for the choice of methods."""

CAMERA_CORRUPTIONS = ("jpeg_quality", "low_light")
"""Further kinds: JPEG at the qualities that are in use, and a sensor in low light."""

SEVERITIES = (1, 2, 3, 4, 5)

FIXED: dict[str, Callable[[Pixels, int], Pixels]] = {
    "defocus_blur": blur.defocus_blur,
    "zoom_blur": blur.zoom_blur,
    "brightness": digital.brightness,
    "contrast": digital.contrast,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "gaussian_blur": blur.gaussian_blur,
    "saturate": digital.saturate,
    "jpeg_quality": digital.jpeg_quality,
}
"""Kinds without randomness."""

RANDOM: dict[str, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "snow": weather.snow,
    "frost": frost,
    "fog": weather.fog,
    "elastic_transform": digital.elastic_transform,
    "speckle_noise": noise.speckle_noise,
    "spatter": weather.spatter,
    "low_light": low_light,
}


def corrupt(image: Pixels, kind: str, severity: int, seed: int, name: str) -> Pixels:
    """Corrupt an image.

    The kinds and their severities are those of Hendrycks & Dietterich (ICLR 2019, arXiv 1903.12261) as the package
    `imagecorruptions` 1.1.2 has them for images of any size, and `CAMERA_CORRUPTIONS`. Frost is drawn.

    Args:
        image: uint8 (H, W, 3), RGB, of any size. It is not changed.
        kind: One of `CORRUPTIONS`, `VALIDATION_CORRUPTIONS` and `CAMERA_CORRUPTIONS`.
        severity: 1 to 5.
        seed: Seed, at least 0.
        name: Name of the image. Images of different names are corrupted independently of each other.

    Returns:
        uint8 (H, W, 3), the same for the same arguments.

    Raises:
        UserError: The image is of another type or shape, or there is no such kind or severity.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"{name}: {image.dtype} {image.shape}: corruptions need RGB images, uint8 of shape (H, W, 3)")
    if severity not in SEVERITIES:
        raise UserError(f"severity {severity}: give a whole number from 1 to 5")
    if kind in FIXED:
        return FIXED[kind](image, severity)
    if kind in RANDOM:
        return RANDOM[kind](image, severity, _generator(seed, name, kind, severity))
    raise UserError(f"there is no corruption {kind}: choose from {', '.join((*FIXED, *RANDOM))}")


def _generator(seed: int, name: str, kind: str, severity: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{kind}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng([seed, severity, int.from_bytes(digest, "little")])
