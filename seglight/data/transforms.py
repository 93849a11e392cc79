"""Joint augmentation of image and mask: a pure function of (seed, epoch, index)."""

import os
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.classes import IGNORE_INDEX
from seglight.errors import UserError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI for its version at import otherwise
import albumentations as A

cv2.setNumThreads(0)  # loader workers are the parallelism; a thread pool in each fights over the same cores


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop, horizontal flip and photometric distortion.

    Args:
        crop_size: Height and width of the training crop in pixels: one number for a square.
        scale: Smallest and largest factor by which an image is scaled before the crop.
        flip: Probability of a horizontal flip.
        photometric: Largest relative change of brightness, contrast and saturation; hue turns by an eighth of it.

    Raises:
        UserError: A size, range or probability makes no sense.
    """

    crop_size: int | tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    photometric: float = 0.4
    compose: A.Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        height, width = (self.crop_size, self.crop_size) if isinstance(self.crop_size, int) else self.crop_size
        if min(height, width) < 1 or not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(
                f"augmentation: crop_size {self.crop_size} and scale {self.scale} must be positive, scale [least, most]"
            )
        if not (0 <= self.flip <= 1 and 0 <= self.photometric <= 1):
            raise UserError(f"augmentation: flip {self.flip} and photometric {self.photometric} must lie in [0, 1]")
        limits = (self.scale[0] - 1, self.scale[1] - 1)
        steps: list[Any] = [
            A.RandomScale(limits, interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_NEAREST_EXACT, p=1),
            A.PadIfNeeded(height, width, position="random", fill=128, fill_mask=IGNORE_INDEX),
            A.RandomCrop(height, width),
            A.HorizontalFlip(p=self.flip),
        ]
        if self.photometric:
            steps.append(A.ColorJitter(self.photometric, self.photometric, self.photometric, self.photometric / 8, p=1))
        object.__setattr__(self, "compose", A.Compose(steps))

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], seed: tuple[int, int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Augment one sample.

        Args:
            image: uint8 (H, W, 3).
            mask: uint8 (H, W).
            seed: (seed, epoch, index); the same seed gives the same result, whoever asks and whenever.

        Returns:
            Image (crop height, crop width, 3) and mask (crop height, crop width); padding is ignored in the mask.
        """
        self.compose.set_random_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        out = self.compose(image=image, mask=mask)
        return out["image"], out["mask"]
