"""Drawn scenes: the built-in default, a data set without files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.transforms import Augmentation
from seglight.data.datamodule import SegmentationDataModule
from seglight.data.datasets.shapes_scenes import CLASSES, draw_instances, draw_scene
from seglight.data.segments import Segments
from seglight.errors import UserError

FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}
"""First seed of the scenes of each split, so that no scene is in two splits."""


class ShapesDataModule(SegmentationDataModule):
    """Eight classes of drawn objects, one of them rare.

    Args:
        size: Height and width of a scene in pixels.
        train_images: Number of training scenes.
        eval_images: Number of scenes of the validation split, and of the test split.
        augmentation: Augmentation of training samples, or None.
        batch_size: Training samples per process and step.
        eval_batch_size: Images per process and step in evaluation; the net is applied to each by itself.
        num_workers: Number of loader processes.
        seed: Seed of order and augmentation, not of the scenes.
        cache: Folder that `seglight cache` wrote from these scenes, or None to draw them each time.
        instances: Whether samples have segments as well: the ground, which is stuff, and each object.
    """

    def __init__(
        self,
        size: int = 160,
        train_images: int = 800,
        eval_images: int = 100,
        augmentation: Augmentation | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        num_workers: int = 2,
        seed: int = 0,
        cache: str | None = None,
        instances: bool = False,
    ) -> None:
        super().__init__(CLASSES, batch_size, eval_batch_size, num_workers, seed, augmentation, cache)
        if size < 32:
            raise UserError(f"data.size is {size}: scenes need at least 32 pixels a side")
        if min(train_images, eval_images) < 1:
            raise UserError(f"data: train_images {train_images} and eval_images {eval_images} must be positive")
        self.size = size
        self.instances = instances
        if instances:
            self.things = tuple(range(1, len(CLASSES)))
        self.images = {"train": train_images, "val": eval_images, "test": eval_images}

    def split(self, name: str) -> "Scenes":
        """The scenes of "train", "val" or "test"."""
        kind = SegmentedScenes if self.instances else Scenes
        return kind(self.size, self.images[name], FIRST_SEED[name])


@dataclass(frozen=True)
class Scenes:
    """Scene `index` is drawn from the seed `first_seed + index`."""

    size: int
    length: int
    first_seed: int

    def __len__(self) -> int:
        return self.length

    @property
    def fingerprint(self) -> str:
        """Identifies size and seed, which determine the scenes."""
        return repr(self)

    def sources(self, index: int) -> tuple[Path, ...]:
        """No files: scenes are drawn."""
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Image uint8 (size, size, 3), mask uint8 (size, size), name."""
        image, mask = draw_scene(self.first_seed + index, self.size)
        return image, mask, f"scene_{self.first_seed + index:07d}"


@dataclass(frozen=True)
class SegmentedScenes(Scenes):
    """The same scenes with their segments: the ground, and each object from back to front."""

    def read_segments(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str, Segments]:
        """Image uint8 (size, size, 3), mask uint8 (size, size), name, segments; a covered object has no pixel."""
        image, mask, ids, classes = draw_instances(self.first_seed + index, self.size)
        return image, mask, f"scene_{self.first_seed + index:07d}", Segments(ids, classes, np.zeros(len(classes), bool))
