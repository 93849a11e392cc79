"""Splits as tensors, indexed by (epoch, index)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from seglight.data.augmentation.missing import without_missing
from seglight.data.augmentation.transforms import Augmentation, check_sizes
from seglight.data.sampler import Key
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.opencv import single_threaded_opencv
from seglight.interfaces import Labelled, Sample
from seglight.ops.label_tensors import as_tensor
from seglight.ops.label_types import ignore_index_of
from seglight.ops.label_values import check_labels


class SegmentationDataset(Dataset[Sample]):
    """A split as tensors, indexed by (epoch, index), so that workers need no state for the epoch.

    Args:
        split: Labelled images.
        augmentation: Augmentation of the samples, or None.
        seed: Seed of the augmentation.
        num_classes: Number of classes for a check of the labels, which takes place here because the name of the image
            is known and no GPU has to be waited for; None: no check.
        bands: What the images hold.
    """

    def __init__(
        self,
        split: Labelled,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_classes: int | None = None,
        bands: Bands = RGB,
    ) -> None:
        self.split = split
        self.augmentation = augmentation
        self.seed = seed
        self.num_classes = num_classes
        self.bands = bands
        self.has_nodata = bands.has_nodata

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        with single_threaded_opencv():
            image, mask, name, augmentation = self.drawn(key)
            check_sizes(image, mask, name)
            if augmentation is not None:
                image, mask = augmentation(image, mask, (self.seed, epoch, index), self.bands)
            elif self.has_nodata:
                mask = without_missing(mask, self.bands.without_data(image))
        return self.as_sample(image, mask, name)

    def as_sample(self, image: NDArray[Any], mask: NDArray[Any], name: str) -> Sample:
        """Image (H, W, bands), mask (H, W) and name as a sample.

        Raises:
            UserError: A label is not a class.
        """
        # arrays of files and caches are read-only, which torch does not accept: copied only then
        image, mask = (np.require(pixels, requirements=["C", "W"]) for pixels in (image, mask))
        # (bands, H, W) over memory that is (H, W, bands): a batch of these is channels_last without a copy
        tensor, labels = torch.from_numpy(image).permute(2, 0, 1), as_tensor(mask)
        if self.num_classes is not None:
            try:
                check_labels(labels, self.num_classes, ignore_index_of(self.num_classes))
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
        return {"image": tensor, "mask": labels, "name": name}

    def drawn(self, key: Key) -> tuple[NDArray[Any], NDArray[Any], str, Augmentation | None]:
        """Image (H, W, bands), mask (H, W) and name of a sample, and the augmentation that is applied to it.

        Args:
            key: Epoch and index.
        """
        return (*self.split.read(key[1]), self.augmentation)
