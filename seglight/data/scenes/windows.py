"""Random windows of scenes, for training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.transforms import Augmentation, class_ratio
from seglight.data.dataset import SegmentationDataset
from seglight.data.sampler import Key
from seglight.data.scenes.area import Area, Box
from seglight.data.scenes.tiles import Scenes
from seglight.images.types import LabelMap

TRIES = 10
"""Largest number of windows that are drawn for a sample, until one has a label and enough classes."""

EMPTY = 1.75
"""What stands for the largest fraction of a class in a window without data: it is taken only if all others are."""

STREAM = 1
"""Fourth number of the seed of windows, beside (seed, epoch, index), which is that of the augmentation."""


class Drawn(NamedTuple):
    """A random window.

    Args:
        image: Image (h, w, bands).
        mask: Mask (h, w).
        name: Name of the window.
        factor: Factor by which it is scaled to the crop.
    """

    image: NDArray[Any]
    mask: LabelMap
    name: str
    factor: float


@dataclass(frozen=True)
class RandomWindows:
    """Training windows, each drawn from (seed, epoch, index) and read by itself.

    A window is as large as the crop divided by the random scale of the augmentation. Its scene is drawn by the number
    of pixels of the training areas, its place among all places at which it lies in that area. Windows without data or
    without a labelled pixel are drawn again, up to ten times in all, and those that exceed the augmentation's
    `max_class_ratio`.

    Args:
        scenes: Scenes.
        areas: Training area of each scene.
        length: Number of windows of an epoch.
        augmentation: Augmentation, of which crop size, scale and `max_class_ratio` decide about the windows.
        seed: Seed of the windows.
    """

    scenes: Scenes
    areas: Sequence[Area]
    length: int
    augmentation: Augmentation
    seed: int
    usable: Sequence[int] = field(init=False, repr=False)
    sums: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        chosen = usable(self.areas, self.scenes.sizes, self.augmentation)
        object.__setattr__(self, "usable", chosen)
        object.__setattr__(self, "sums", np.cumsum([self.areas[scene].pixels for scene in chosen]))

    def __len__(self) -> int:
        return self.length

    @property
    def fingerprint(self) -> str:
        """Identity of all that the samples depend on except the files' content."""
        return f"random windows {self.augmentation.crop_size} of {self.scenes.fingerprint}"

    def sources(self, index: int) -> tuple[Path, ...]:
        """Files of the scene of a window of the first epoch."""
        rng = np.random.default_rng((self.seed, 0, index, STREAM))
        return self.scenes.sources(self._place(rng)[0])

    def read(self, index: int) -> tuple[NDArray[Any], LabelMap, str]:
        """Image, mask and name of a window of the first epoch, before it is scaled."""
        drawn = self.draw((0, index))
        return drawn.image, drawn.mask, drawn.name

    def draw(self, key: Key) -> Drawn:
        """Draw and read a window.

        Args:
            key: Epoch and index.

        Raises:
            UserError: A file is damaged, or a label is of no class.
        """
        rng = np.random.default_rng((self.seed, *key, STREAM))
        best = None
        least = 2.0  # more than any ratio
        for _ in range(TRIES):
            scene, box, factor = self._place(rng)
            image, mask = self.scenes.read(scene, box)
            ratio = EMPTY if self.scenes.is_empty(image) else class_ratio(mask)  # above 1 if nothing is labelled
            if best is None or ratio < least:
                best = Drawn(image, mask, self.scenes.name(scene, box), factor)
                least = ratio
            if ratio <= self.augmentation.max_class_ratio:
                break
        assert best is not None
        return best

    def _place(self, rng: np.random.Generator) -> tuple[int, Box, float]:
        """Scene of a window, its box, and the factor of its scale."""
        factor = rng.uniform(*self.augmentation.scale)
        scene = self.usable[int(np.searchsorted(self.sums, rng.integers(self.sums[-1]), "right"))]
        height, width = window_size(self.augmentation, factor, self.scenes.sizes[scene])
        top, left = self.areas[scene].draw(rng, height, width)
        return scene, (top, left, top + height, left + width), factor


def usable(areas: Sequence[Area], sizes: Sequence[tuple[int, int]], augmentation: Augmentation) -> list[int]:
    """Indices of the scenes in whose area the largest window lies anywhere: all smaller ones do, too."""
    return [
        scene
        for scene, area in enumerate(areas)
        if area.fits(*window_size(augmentation, augmentation.scale[0], sizes[scene]))
    ]


def window_size(augmentation: Augmentation, factor: float, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the window that is scaled by a factor to the crop; those of a smaller scene at most."""
    crop = augmentation.crop_size
    sides = (crop, crop) if isinstance(crop, int) else crop
    return min(max(1, round(sides[0] / factor)), size[0]), min(max(1, round(sides[1] / factor)), size[1])


class WindowDataset(SegmentationDataset):
    """Random windows as tensors, indexed by (epoch, index)."""

    split: RandomWindows

    def drawn(self, key: Key) -> tuple[NDArray[Any], NDArray[Any], str, Augmentation]:
        """Image and mask of a window, its name, and the augmentation at the scale of the window."""
        window = self.split.draw(key)
        return window.image, window.mask, window.name, self.split.augmentation.at_scale(window.factor)
