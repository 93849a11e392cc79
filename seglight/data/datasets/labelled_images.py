"""Images of one class each, for pre-training encoders: the base of their data modules."""

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict, cast

import cv2
import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seglight.data.loading_options import check_batches, check_loading
from seglight.data.sampler import EvalSampler, Key, sampler_kind
from seglight.errors import UserError
from seglight.images.opencv import single_threaded_opencv


class LabelledImage(TypedDict):
    """`image` uint8 (3, size, size) RGB, `label` its class index."""

    image: Tensor
    label: int


class Split(Protocol):
    """Images by index, each with its class."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Image uint8 (H, W, 3), and its class index."""


class LabelledImagesDataModule(LightningDataModule):
    """Base class: a subclass passes `class_names` to `__init__` and defines `split(name)`.

    Args:
        class_names: Names of the classes, by index.
        size: Height and width in pixels to which images are resized.
        crop_area: Least fraction of an image's area in a training crop (arXiv 1409.4842, section 6).
        batch_size: Images per process and step.
        num_workers: Number of loader processes. The samples do not depend on it.
        seed: Seed of order and augmentation.

    Raises:
        UserError: A number is out of range.
    """

    def __init__(
        self, class_names: Sequence[str], size: int, crop_area: float, batch_size: int, num_workers: int, seed: int
    ) -> None:
        super().__init__()
        check_loading(num_workers, seed, batch_size=batch_size)
        if size < 1 or not 0 < crop_area <= 1:
            raise UserError(f"data: size {size} must be positive, and crop_area {crop_area} within (0, 1]")
        self.class_names = list(class_names)
        self.num_classes = len(class_names)
        self.size = size
        self.crop_area = crop_area
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def split(self, name: str) -> Split:
        """The images of "train" or "val".

        Raises:
            UserError: They are missing.
        """
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        """Find both splits."""
        self.splits = {name: self.split(name) for name in ("train", "val")}
        least = self.batch_size * (self.trainer.world_size if self.trainer else 1)
        if len(self.splits["train"]) < least:
            raise UserError(
                f"the train split has {len(self.splits['train'])} images where one step takes {least}: "
                "lower data.batch_size"
            )
        if self.trainer is not None:
            check_batches(self.trainer, "train", len(self.splits["train"]) // least)
            check_batches(self.trainer, "val", -(-len(self.splits["val"]) // least))

    def train_dataloader(self) -> DataLoader[LabelledImage]:
        """Loader of random crops and flips in the order of (seed, epoch)."""
        dataset = LabelledImages(self.splits["train"], self.size, self.crop_area, self.seed)
        sampler = sampler_kind(self.trainer)(len(dataset), self.seed, *self._rank())
        return DataLoader(dataset, self.batch_size, sampler=sampler, drop_last=True, **self._workers())

    def val_dataloader(self) -> DataLoader[LabelledImage]:
        """Loader of the centre crop of each image, once."""
        dataset = LabelledImages(self.splits["val"], self.size)
        sampler = EvalSampler(len(dataset), self.batch_size, *self._rank())
        return DataLoader(dataset, batch_sampler=sampler, **self._workers())

    def _workers(self) -> dict[str, Any]:
        return {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class LabelledImages(Dataset[LabelledImage]):
    """A split as tensors of one size; training crops are a pure function of (seed, epoch, index)."""

    def __init__(self, split: Split, size: int, crop_area: float | None = None, seed: int = 0) -> None:
        self.split = split
        self.size = size
        self.crop_area = crop_area
        self.seed = seed

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> LabelledImage:
        with single_threaded_opencv():
            image, label = self.split.read(key[1])
            resized = self._resized(image, key)
        return {"image": torch.from_numpy(resized).permute(2, 0, 1), "label": label}

    def _resized(self, image: NDArray[np.uint8], key: Key) -> NDArray[np.uint8]:
        if self.crop_area is None:
            window = middle(image)
        else:
            rng = np.random.default_rng((self.seed, *key))
            window = random_window(image, self.crop_area, rng)
            window = window[:, ::-1] if rng.random() < 0.5 else window
        shrinks = min(window.shape[:2]) > self.size
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = cv2.resize(np.ascontiguousarray(window), (self.size, self.size), interpolation=interpolation)
        return cast("NDArray[np.uint8]", resized)


def middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest square in the middle of (H, W, 3)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def random_window(image: NDArray[np.uint8], least: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random window of (H, W, 3) with `least` to all of its area and an aspect ratio of 3:4 to 4:3, if it fits."""
    height, width = image.shape[:2]
    area = rng.uniform(least, 1) * height * width
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    rows, columns = min(height, max(1, round((area / ratio) ** 0.5))), min(width, max(1, round((area * ratio) ** 0.5)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return image[top : top + rows, left : left + columns]
