"""Joint augmentation of image and mask: a pure function of (seed, epoch, index).

The crop is chosen before scaling: a window of the image of `crop_size` divided by the scale is cut out and resized to
`crop_size`. The distribution is that of scaling the whole image and cropping then (up to rounding the window to whole
pixels), at the cost of the pixels in the window.
"""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.color import recolored
from seglight.data.augmentation.extra import checked_extra, transformed
from seglight.data.augmentation.missing import filled, without_missing
from seglight.data.augmentation.per_band import PerBand
from seglight.data.augmentation.windows import Window, cut, draw_window, flipped, read_ahead
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.ops.label_types import ignored_value
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
    """Random scale, crop, horizontal flip, rotation and changes of colours or bands, for images of any bands and type.

    Args:
        crop_size: Height and width of the training crop in pixels: one number for a square.
        scale: Smallest and largest factor by which an image is scaled before the crop.
        flip: Probability of a horizontal flip.
        photometric: Largest relative change of brightness, contrast and saturation; hue changes by an eighth of it. It
            needs RGB: give 0 for images of other bands, and `per_band`.
        max_class_ratio: Largest fraction of a crop's labelled pixels that one class may have; if ten crops exceed it,
            the one with the smallest fraction is used.
        rare_class_crops: Fraction of the training pixels of each class (`seglight doctor` prints it), or None for crops
            anywhere. Each crop then contains a pixel of a class that is drawn from those in the image, with a
            probability proportional to one over the square root of its fraction.
        extra: Further transforms of albumentations, applied to the finished crop. Each is tried on the first crop: it
            must accept images of these bands, and keep their type and number.
        rot90: Probability of a rotation by 90, 180 or 270 degrees, for images without an up such as those from above;
            0.75 makes all equally frequent. It needs a square crop.
        per_band: Random changes of each band by itself. None: none.

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
    rot90: float = 0.0
    per_band: PerBand | None = None
    compose: A.Compose = field(init=False, repr=False, compare=False)
    tried: set[tuple[int, str]] = field(init=False, repr=False, compare=False, default_factory=set)

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
        if not 0 <= self.rot90 <= 1:
            raise UserError(f"augmentation: rot90 {self.rot90} must lie in [0, 1]")
        if self.rot90 and self._crop()[0] != self._crop()[1]:
            raise UserError(
                f"augmentation: rot90 needs a square crop, and crop_size is {self.crop_size}: give one number"
            )
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
        self, image: NDArray[Any], mask: NDArray[Any], seed: tuple[int, int, int], bands: Bands = RGB
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Augment one sample.

        Args:
            image: Image (H, W, bands); only the window of the crop is read.
            mask: Mask (H, W) of uint8 or uint16.
            seed: (seed, epoch, index): the result depends on nothing else.
            bands: Description of the bands.

        Returns:
            Image (crop height, crop width, bands) and mask (crop height, crop width); padding is `bands.padding`, which
            is 128 for 8-bit RGB. Padding and pixels without data in any band are ignored in the mask; values without
            data stay so, and do not mix with others.

        Raises:
            UserError: `photometric`, `per_band` or a transform of `extra` does not accept images of these bands.
        """
        image, (mask,) = self.jointly(image, (mask,), seed, bands)
        return image, mask

    def jointly(
        self, image: NDArray[Any], maps: Sequence[NDArray[Any]], seed: tuple[int, int, int], bands: Bands = RGB
    ) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        """Augment one sample with several label maps, of which the first is the mask: as `__call__`, for the same seed.

        Args:
            image: Image (H, W, bands).
            maps: Maps (H, W) of uint8 or uint16. What is ignored in the mask by augmentation has the largest value of
                their type in all of them.
            seed: (seed, epoch, index).
            bands: Description of the bands.
        """
        rng = np.random.default_rng(seed)
        window = self._window(rng, maps[0])
        rows, _ = window.inside(maps[0].shape)
        for pixels in (image, *maps):
            read_ahead(pixels[rows])
        if bands.is_rgb8:
            image = cut(image, window, self._crop(), cv2.INTER_LINEAR, PADDING)
        else:
            image = cut(image, window, self._crop(), cv2.INTER_LINEAR, bands.padding, bands)
        nearest = cv2.INTER_NEAREST_EXACT
        labels = [cut(each, window, self._crop(), nearest, ignored_value(each.dtype)) for each in maps]
        if not bands.is_rgb8 and bands.has_nodata:
            missing = bands.without_data(image)
            labels = [without_missing(each, missing) for each in labels]
        if rng.random() < self.flip:
            image, *labels = (flipped(pixels) for pixels in (image, *labels))
        if self.rot90 and rng.random() < self.rot90:
            turns = int(rng.integers(1, 4))
            image, *labels = (np.ascontiguousarray(np.rot90(pixels, turns)) for pixels in (image, *labels))
        if self.photometric:
            image = recolored(rng, image, self.photometric, bands)
        if self.per_band is not None:
            image = self.per_band(rng, image, bands)
        return self._transformed(rng, image, labels, bands) if self.extra else (image, labels)

    def at_scale(self, factor: float) -> "Augmentation":
        """The same augmentation for windows that were drawn at a scale already, and read by themselves."""
        fixed = copy(self)  # unlike `replace`, without checks and with the transforms that were tried
        object.__setattr__(fixed, "scale", (factor, factor))
        object.__setattr__(fixed, "max_class_ratio", 1.0)
        return fixed

    def _transformed(
        self, rng: np.random.Generator, image: NDArray[Any], maps: Sequence[NDArray[Any]], bands: Bands
    ) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        kind = image.shape[2], str(image.dtype)
        if kind not in self.tried:
            checked_extra(self.extra, image if bands.is_rgb8 else filled(image, bands.invalid(image), bands), maps[0])
            self.tried.add(kind)
        self.compose.set_random_seed(int(rng.integers(2**32)))
        return transformed(self.compose, image, maps, bands)

    def _crop(self) -> tuple[int, int]:
        return (self.crop_size, self.crop_size) if isinstance(self.crop_size, int) else self.crop_size

    def _window(self, rng: np.random.Generator, mask: NDArray[Any]) -> Window:
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


def class_counts(mask: NDArray[Any]) -> NDArray[np.float32]:
    """Number of pixels of each value: (256,) of uint8, (65536,) of uint16."""
    values = ignored_value(mask.dtype) + 1
    return np.ravel(cv2.calcHist([mask], [0], None, [values], [0, values])).astype(np.float32)


def class_ratio(mask: NDArray[Any]) -> float:
    """Fraction of the most frequent class among the labelled pixels; above one if nothing is labelled."""
    counts = class_counts(mask)[:-1]
    labelled = counts.sum()
    return float(counts.max() / labelled) if labelled else 1.5


def rare_pixel(rng: np.random.Generator, mask: NDArray[Any], shares: Sequence[float]) -> tuple[int, int] | None:
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


def check_sizes(image: NDArray[Any], mask: NDArray[Any], name: str) -> None:
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
