"""Changes of brightness, contrast and saturation, elastic distortion, large pixels, and JPEG."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from seglight.errors import UserError
from seglight.robustness.corruptions.resampling import displaced
from seglight.robustness.corruptions.values import UNIT, Floats, Pixels, truncated

BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Added to V of HSV."""

SATURATE = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
"""Factor of S of HSV, and what is added to it."""

CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
"""Factor of the distance from the mean of the image."""

ELASTIC = (12.5, 16.25, 21.25, 25.0, 30.0)
"""Factor of the smoothed displacements."""

PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
"""Factor of height and width."""

JPEG = (25, 18, 15, 10, 7)
"""Quality of the published kind."""

QUALITY = (90, 75, 50, 30, 10)
"""Quality of the further kind, from what cameras write to what messengers send."""

LONGEST_JPEG = 65500
"""Largest side that libjpeg writes."""


def brightness(image: Pixels, severity: int) -> Pixels:
    """Make brighter."""
    hue, saturation, value = _hsv(image)
    return _rgb(hue, saturation, np.clip(value + BRIGHTNESS[severity - 1], 0, 1))


def saturate(image: Pixels, severity: int) -> Pixels:
    """Make colours paler (severities 1 and 2) or stronger."""
    factor, more = SATURATE[severity - 1]
    hue, saturation, value = _hsv(image)
    return _rgb(hue, np.clip(saturation * factor + more, 0, 1), value)


def _hsv(image: Pixels) -> tuple[Floats, Floats, Floats]:
    """Hue, saturation and value, each float64 (H, W) in [0, 1]."""
    red, green, blue = (UNIT[image[..., k]] for k in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    grey = spread == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        saturation = np.where(grey, 0, spread / value)
        sixth = np.where(green == value, 2 + (blue - red) / spread, (green - blue) / spread)
        sixth = np.where(blue == value, 4 + (red - green) / spread, sixth)
    return np.where(grey, 0, sixth / 6 % 1), saturation, value


def _rgb(hue: Floats, saturation: Floats, value: Floats) -> Pixels:
    whole = np.floor(hue * 6)
    share = hue * 6 - whole
    low = value * (1 - saturation)
    falling = value * (1 - share * saturation)
    rising = value * (1 - (1 - share) * saturation)
    sector = whole.astype(np.intp) % 6
    red = np.choose(sector, [value, falling, low, low, rising, value])
    green = np.choose(sector, [rising, value, value, falling, low, low])
    blue = np.choose(sector, [low, low, rising, value, value, falling])
    return truncated(np.stack([red, green, blue], -1))


def contrast(image: Pixels, severity: int) -> Pixels:
    """Move each value towards the mean of its channel."""
    factor = CONTRAST[severity - 1]
    means = UNIT[image].mean((0, 1))
    table = truncated((UNIT[:, None] - means) * factor + means)
    return np.stack([table[image[..., k], k] for k in range(3)], -1)


def elastic_transform(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Move pixels by a smooth random field; the labels stay, as in the published package."""
    height, width = image.shape[:2]
    sigma = (0.01 * height, 0.01 * width)
    most = 0.005 * height
    factor = ELASTIC[severity - 1]

    def field() -> NDArray[np.float32]:
        rough = rng.uniform(-most, most, (height, width))
        smooth: Floats = gaussian_filter(rough, sigma, mode="reflect", truncate=3)
        return (smooth * factor).astype(np.float32)

    across = field()
    return truncated(displaced(UNIT[image].astype(np.float32), field(), across))


def pixelate(image: Pixels, severity: int) -> Pixels:
    """Reduce the image, and enlarge it again without interpolation."""
    factor = PIXELATE[severity - 1]
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize(
        (max(1, int(width * factor)), max(1, int(height * factor))), Image.Resampling.BOX
    )
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: Pixels, severity: int) -> Pixels:
    """Compress as JPEG at a low quality."""
    return _jpeg(image, JPEG[severity - 1])


def jpeg_quality(image: Pixels, severity: int) -> Pixels:
    """Compress as JPEG at qualities that are in use."""
    return _jpeg(image, QUALITY[severity - 1])


def _jpeg(image: Pixels, quality: int) -> Pixels:
    height, width = image.shape[:2]
    if max(height, width) > LONGEST_JPEG:
        raise UserError(f"a JPEG has at most {LONGEST_JPEG} pixels a side, not {height}x{width}: leave its kinds out")
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
