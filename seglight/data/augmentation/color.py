"""Brightness, contrast, saturation and hue as one matrix: a single pass over the pixels, rounded and cut off once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

LUMA = np.array((0.299, 0.587, 0.114))
"""Share of R, G, B in brightness (ITU-R BT.601)."""

YIQ = np.array((LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)))
"""RGB to the NTSC's luma and two chroma axes: hue is the angle between those."""


def color_matrix(
    mean: ArrayLike, brightness: float, contrast: float, saturation: float, hue: float
) -> NDArray[np.float64]:
    """The (3, 4) matrix, as cv2.transform takes it, of what torchvision's ColorJitter does in this order.

    Hue turns the chroma of YIQ, which is linear, where torchvision goes through HSV.

    Args:
        mean: R, G, B of the image's mean: contrast changes about its luma.
        brightness: Factor; 1 changes nothing.
        contrast: Factor.
        saturation: Factor.
        hue: Share of the colour circle to turn by.
    """
    cos, sin = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    turn = np.linalg.solve(YIQ, np.array(((1, 0, 0), (0, cos, sin), (0, -sin, cos))) @ YIQ)
    grey = np.tile(LUMA, (3, 1))  # every channel becomes the luma
    linear = brightness * contrast * turn @ (saturation * np.eye(3) + (1 - saturation) * grey)
    # saturation and hue leave a grey as it is: the offset of the contrast needs neither
    offset = (1 - contrast) * brightness * (LUMA @ np.asarray(mean))
    return np.column_stack((linear, np.full(3, offset)))
