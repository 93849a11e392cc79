"""Brightness, contrast, saturation and hue as one matrix: one pass over the pixels, rounded and clipped once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
