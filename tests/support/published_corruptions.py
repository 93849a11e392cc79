"""Outputs of the published package `imagecorruptions` 1.1.2 on a drawn image, and the draws that it made for them.

`python -m tests.support.published_corruptions` writes PATH in an environment of the package's time: Python 3.11 with
numpy 1.26.4, scipy 1.11.4, scikit-image 0.20.0, opencv-python-headless 4.8.1.78, pillow 10.1.0, setuptools 69.5.1, and
`channel_axis=-1` in place of `multichannel=True` in the package's three calls of scikit-image's `gaussian`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).parents[1] / "robustness" / "corruptions" / "published.npz"

FIXED = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
)  # fmt: skip
"""Kinds without randomness: stored at all severities."""

DRAWN = (
    "gaussian_noise", "shot_noise", "speckle_noise", "glass_blur", "motion_blur", "snow", "fog", "elastic_transform",
    "spatter",
)  # fmt: skip
"""Kinds whose draws come from numpy's global generator, whose stream of numbers is the same in all versions."""

NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
LEVELS = (0, 5, 64, 128, 200, 250, 255)
"""Values of the flat images on which the distribution of noise is compared."""

SIDE = 48
"""Side of the flat images."""


def drawn_image(height: int, width: int) -> NDArray[np.uint8]:
    """Shading, flat areas of all brightnesses, saturated colours, and texture."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * x // width, 255 * y // height, (7 * x + 13 * y) % 256], -1)
    image[height // 8 : height // 3, width // 8 : width // 2] = (255, 40, 0)
    image[height // 2 : -2, 3 : width // 3] = (0, 0, 0)
    image[height // 2 : -6, width // 2 : -4] = (255, 255, 255)
    image[2 : height // 4, -width // 3 :] = (128, 128, 128)
    image[height // 3 : height // 2, width // 2 :] += (31 * x * y % 23)[height // 3 : height // 2, width // 2 :, None]
    return np.clip(image, 0, 255).astype(np.uint8)


def cases() -> Iterator[tuple[str, int]]:
    """Kinds and severities whose outputs are stored."""
    for kind in FIXED:
        yield from ((kind, severity) for severity in (1, 2, 3, 4, 5))
    for kind in DRAWN:
        yield from ((kind, severity) for severity in (1, 3, 5))


class Legacy:
    """numpy's former generator with the methods of the present one, and the numbers of `np.random.seed`."""

    def __init__(self, seed: int) -> None:
        self.state = np.random.RandomState(seed)  # the package draws from it
        self.normal = self.state.normal
        self.uniform = self.state.uniform
        self.poisson = self.state.poisson
        self.integers = self.state.randint


def histogram(before: int, after: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each byte follows from a byte."""
    return np.bincount(after.ravel(), minlength=256).astype(np.int64)


def write() -> None:
    """Run the package."""
    from imagecorruptions import corrupt  # of another environment

    image = drawn_image(33, 37)
    stored: dict[str, Any] = {"image": image}
    for kind, severity in cases():
        np.random.seed(severity)  # noqa: NPY002
        stored[f"{kind} {severity}"] = corrupt(image, severity=severity, corruption_name=kind)
    np.random.seed(0)  # noqa: NPY002
    for kind in NOISE:
        for severity in (1, 3, 5):
            flat = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in LEVELS]
            noisy = [corrupt(each, severity=severity, corruption_name=kind) for each in flat]
            counts = [histogram(level, each) for level, each in zip(LEVELS, noisy)]  # noqa: B905
            stored[f"histogram {kind} {severity}"] = np.stack(counts).astype(np.uint16)
    black = np.zeros((200, 300, 3), np.uint8)
    frosted = np.stack([corrupt(black, severity=1, corruption_name="frost") for _ in range(400)])
    stored["frost"] = np.array([*frosted.mean((0, 1, 2)), frosted.mean(-1).std((1, 2)).mean()])
    np.savez_compressed(PATH, **stored)


if __name__ == "__main__":
    write()
