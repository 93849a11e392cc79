"""Joint augmentation of image and mask: a pure function of (seed, epoch, index).

The crop is chosen before scaling: a window of the image of `crop_size` divided by the scale is cut out and resized to
`crop_size`. The distribution is that of scaling the whole image and cropping then (up to rounding the window to whole
pixels), at the cost of the pixels in the window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.color import color_matrix
from seglight.data.augmentation.extra import check_result, checked_extra
from seglight.data.augmentation.windows import Window, cut, draw_window, read_ahead
from seglight.data.classes import IGNORE_INDEX
from seglight.errors import UserError
from seglight.system.environment import environment_default

with environment_default("NO_ALBUMENTATIONS_UPDATE", "1"):  # otherwise it asks PyPI for its version at import
    import albumentations as A

PADDING = 128
"""Grey value of pixels beyond the image, which are ignored in the mask."""

LARGEST = 32767
"""Largest height and width of a crop: OpenCV transforms no larger images."""

TRIES = 10
"""Largest number of windows drawn to satisfy `max_class_ratio`, as in mmsegmentation's recipes."""


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop, horizontal flip and photometric distortion.

    Args:
        crop_size: Height and width of the training crop in pixels: one number for a square.
        scale: Smallest and largest factor by which an image is scaled before the crop.
        flip: Probability of a horizontal flip.
        photometric: Largest relative change of brightness, contrast and saturation; hue changes by an eighth of it. It
            needs RGB: give 0 for images of other bands.
        max_class_ratio: Largest fraction of a crop's labelled pixels that one class may have; if ten crops exceed it,
            the one with the smallest fraction is used.
        rare_class_crops: Fraction of the training pixels of each class (`seglight doctor` prints it), or None for crops
            anywhere. Each crop then contains a pixel of a class that is drawn from those in the image, with a
            probability proportional to one over the square root of its fraction.
        extra: Further transforms of albumentations, applied to the finished crop. Each is tried on the first crop: it
            must accept images of these bands, and keep their type and number.

    Raises:
        UserError: A size, range, fraction or probability is not valid.
    """

    crop_size: int | tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    photometric: float = 0.4
    max_class_ratio: float = 1.0
    rare_class_crops: Sequence[float] | None = None
    extra: Sequence[A.BasicTransform] = ()
    compose: A.Compose = field(init=False, repr=False, compare=False)
    tried: set[int] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        if min(self._crop()) < 1 or not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(
                f"augmentation: crop_size {self.crop_size} and scale {self.scale} must be positive, scale [least, most]"
            )
        if max(self._crop()) > LARGEST or self.scale[1] == math.inf:
            raise UserError(
                f"augmentation: crop_size {self.crop_size} must be at most {LARGEST}, scale {self.scale} finite"
            )
        if not (0 <= self.flip <= 1 and 0 <= self.photometric <= 1):
            raise UserError(f"augmentation: flip {self.flip} and photometric {self.photometric} must lie in [0, 1]")
        if not 0 < self.max_class_ratio <= 1:
            raise UserError(f"augmentation: max_class_ratio {self.max_class_ratio} must lie in (0, 1]")
        shares = self.rare_class_crops
        if shares is not None and (len(shares) < 2 or min(shares) < 0 or abs(sum(shares) - 1) > 0.01):
            raise UserError(
                "augmentation: rare_class_crops must hold the share of each class, together 1: "
                "copy the line that `seglight doctor` prints"
            )
        object.__setattr__(self, "compose", A.Compose(list(self.extra)))

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], seed: tuple[int, int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Augment one sample.

        Args:
            image: Image uint8 (H, W, bands); only the window of the crop is read.
            mask: Mask uint8 (H, W).
            seed: (seed, epoch, index): the result depends on nothing else.

        Returns:
            Image (crop height, crop width, bands) and mask (crop height, crop width); padding is 128 in each band and
            ignored in the mask.

        Raises:
            UserError: `photometric` or a transform of `extra` does not accept images of these bands.
        """
        rng = np.random.default_rng(seed)
        window = self._window(rng, mask)
        rows, _ = window.inside(mask.shape)
        for pixels in (image, mask):
            read_ahead(pixels[rows])
        image = cut(image, window, self._crop(), cv2.INTER_LINEAR, PADDING)
        mask = cut(mask, window, self._crop(), cv2.INTER_NEAREST_EXACT, IGNORE_INDEX)
        if rng.random() < self.flip:
            image, mask = (
                cast("NDArray[np.uint8]", cv2.flip(pixels, 1).reshape(pixels.shape)) for pixels in (image, mask)
            )
        if self.photometric:
            image = self._recolored(rng, image)
        return self._transformed(rng, image, mask) if self.extra else (image, mask)

    def _transformed(
        self, rng: np.random.Generator, image: NDArray[np.uint8], mask: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if image.shape[2] not in self.tried:
            checked_extra(self.extra, image, mask)
            self.tried.add(image.shape[2])
        self.compose.set_random_seed(int(rng.integers(2**32)))
        out = self.compose(image=image, mask=mask, masks=np.ones((1, *mask.shape), np.uint8))
        check_result("together they give", out, image, mask)
        # albumentations fills masks with 0, which is a class, where a rotation and the like reach beyond the crop: a
        # second mask that was 1 everywhere shows where
        return out["image"], np.where(out["masks"][0] == 0, np.uint8(IGNORE_INDEX), out["mask"])

    def _recolored(self, rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image.shape[2] != 3:
            raise UserError(
                f"augmentation.photometric needs RGB images, and these have {image.shape[2]} bands: "
                "set data.augmentation.photometric: 0"
            )
        brightness, contrast, saturation = rng.uniform(1 - self.photometric, 1 + self.photometric, 3)
        hue = rng.uniform(-self.photometric / 8, self.photometric / 8)
        matrix = color_matrix(cv2.mean(image)[:3], brightness, contrast, saturation, hue)
        return cast("NDArray[np.uint8]", cv2.transform(image, matrix))

    def _crop(self) -> tuple[int, int]:
        return (self.crop_size, self.crop_size) if isinstance(self.crop_size, int) else self.crop_size

    def _window(self, rng: np.random.Generator, mask: NDArray[np.uint8]) -> Window:
        anchor = None if self.rare_class_crops is None else rare_pixel(rng, mask, self.rare_class_crops)
        best = draw_window(rng, mask.shape, self._crop(), self.scale, anchor)
        least = 2.0  # more than any ratio
        if self.max_class_ratio == 1:
            return best
        window = best
        for _ in range(TRIES):
            ratio = class_ratio(mask[window.inside(mask.shape)])
            if ratio < least:
                best = window
                least = ratio
            if ratio <= self.max_class_ratio:
                break
            window = draw_window(rng, mask.shape, self._crop(), self.scale, anchor)
        return best


def class_counts(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Number of pixels of each value: (256,)."""
    return np.ravel(cv2.calcHist([mask], [0], None, [256], [0, 256])).astype(np.float32)


def class_ratio(mask: NDArray[np.uint8]) -> float:
    """Fraction of the most frequent class among the labelled pixels; above one if nothing is labelled."""
    counts = class_counts(mask)[:IGNORE_INDEX]
    labelled = counts.sum()
    return float(counts.max() / labelled) if labelled else 1.5


def rare_pixel(rng: np.random.Generator, mask: NDArray[np.uint8], shares: Sequence[float]) -> tuple[int, int] | None:
    """Draw a pixel (y, x) of a class of the mask, with a probability proportional to one over the root of its fraction.

    Returns None if no pixel is labelled.
    """
    present = np.flatnonzero(class_counts(mask)[: len(shares)])
    if not len(present):
        return None
    # a class that occurs in no other label has fraction 0 in the list, and all the weight here
    weights = 1 / np.sqrt(np.maximum(np.asarray(shares)[present], 1e-9))
    chosen = rng.choice(present, p=weights / weights.sum())
    pixels = np.flatnonzero(mask == chosen)
    y, x = divmod(int(pixels[rng.integers(len(pixels))]), mask.shape[1])
    return y, x


def check_sizes(image: NDArray[np.uint8], mask: NDArray[np.uint8], name: str) -> None:
    """Check that image (H, W, bands) and mask (H, W) are arrays of one height and width.

    Raises:
        UserError: The sizes differ, or one of them is not such an array.
    """
    for what, pixels, axes in (("image", image, ("H", "W", "bands")), ("mask", mask, ("H", "W"))):
        if not isinstance(pixels, np.ndarray) or pixels.ndim != len(axes):
            got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise UserError(f"{name}: the {what} is {got}: a split's `read` gives it as an array ({', '.join(axes)})")
    if image.shape[:2] != mask.shape:
        raise UserError(
            f"{name}: the image is {image.shape[0]}x{image.shape[1]} and its mask {mask.shape[0]}x{mask.shape[1]} "
            "(height x width): export the mask at the size of the image"
        )
