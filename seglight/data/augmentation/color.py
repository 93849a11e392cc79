"""Brightness, contrast, saturation and hue as one matrix: one pass over the pixels, rounded and clipped once."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seglight.data.augmentation.missing import avoid_nodata, filled, limits
from seglight.errors import UserError
from seglight.images.band_names import COLORS, plain_names
from seglight.images.bands import Bands

LUMA = np.array((0.299, 0.587, 0.114))
"""Weights of R, G and B in the brightness (ITU-R BT.601)."""

YIQ = np.array((LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)))
"""RGB to the luma and the two chroma axes of NTSC: hue is the angle between the axes."""


def color_matrix(
    mean: ArrayLike, brightness: float, contrast: float, saturation: float, hue: float
) -> NDArray[np.float64]:
    """Matrix (3, 4) for cv2.transform of the operations of torchvision's ColorJitter, in this order.

    Hue rotates the chroma of YIQ, which is linear, whereas torchvision uses HSV.

    Args:
        mean: Mean R, G, B of the image: contrast changes about its luma.
        brightness: Factor of the brightness; 1 changes nothing.
        contrast: Factor of the contrast.
        saturation: Factor of the saturation.
        hue: Rotation as a fraction of the colour circle.
    """
    cos, sin = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    turn = np.linalg.solve(YIQ, np.array(((1, 0, 0), (0, cos, sin), (0, -sin, cos))) @ YIQ)
    grey = np.tile(LUMA, (3, 1))  # every channel becomes the luma
    linear = brightness * contrast * turn @ (saturation * np.eye(3) + (1 - saturation) * grey)
    # saturation and hue leave a grey as it is: the offset of the contrast needs neither
    offset = (1 - contrast) * brightness * (LUMA @ np.asarray(mean))
    return np.column_stack((linear, np.full(3, offset)))


def recolored(rng: np.random.Generator, image: NDArray[Any], amount: float, bands: Bands) -> NDArray[Any]:
    """Change brightness, contrast, saturation and hue of an RGB image (H, W, 3) of any type at random.

    Args:
        rng: Generator that the changes are drawn from.
        image: The image.
        amount: Largest relative change of brightness, contrast and saturation; an eighth of it for hue.
        bands: Description of the bands.

    Raises:
        UserError: The bands are not red, green and blue, in this order.
    """
    check_rgb(image, bands)
    brightness, contrast, saturation = rng.uniform(1 - amount, 1 + amount, 3)
    hue = rng.uniform(-amount / 8, amount / 8)
    changes = brightness, contrast, saturation, hue
    if bands.is_rgb8:
        return cv2.transform(image, color_matrix(cv2.mean(image)[:3], *changes))
    invalid = bands.invalid(image)
    pixels = filled(image, invalid, bands)
    mean = [pixels[..., band][~invalid[..., band]].mean() if not invalid[..., band].all() else 0 for band in range(3)]
    changed: NDArray[Any] = cv2.transform(pixels, color_matrix(mean, *changes)).clip(*limits(bands)).astype(image.dtype)
    avoid_nodata(changed, bands)
    np.copyto(changed, image, where=invalid)
    return changed


def check_rgb(image: NDArray[Any], bands: Bands) -> None:
    """Check that an image (H, W, bands) is RGB.

    Raises:
        UserError: It has other bands.
    """
    if bands.is_rgb8:
        if image.shape[2] == 3:
            return
        raise UserError(
            f"augmentation.photometric needs RGB images, and these have {image.shape[2]} bands: "
            "set data.augmentation.photometric: 0"
        )
    if plain_names(bands.names) != COLORS:
        raise UserError(
            f"augmentation.photometric needs RGB images, and these have {bands.line()}: "
            "set data.augmentation.photometric: 0, and data.augmentation.per_band for changes of each band"
        )
