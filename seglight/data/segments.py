"""Splits whose labels are segments: instances of things, and regions of stuff, each with a class."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from seglight.data.augmentation.missing import without_missing
from seglight.data.augmentation.transforms import Augmentation, check_sizes
from seglight.data.dataset import SegmentationDataset
from seglight.data.sampler import Key
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.opencv import single_threaded_opencv
from seglight.interfaces import Labelled, Sample
from seglight.ops.label_types import WIDE_IGNORE_INDEX, ignore_index_of, label_type

NONE = WIDE_IGNORE_INDEX
"""Value of pixels without a segment."""


class Segments(NamedTuple):
    """Segments of an image, which do not overlap.

    Attributes:
        ids: uint16 (H, W) index of the segment at each pixel, `NONE` where there is none.
        classes: int64 (n,) class of each segment.
        crowds: bool (n,), whether it is a region of several instances that are not told apart.
    """

    ids: NDArray[np.uint16]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]

    def mask(self, num_classes: int) -> NDArray[Any]:
        """Class at each pixel, ignored where there is no segment: (H, W) of the type of label maps of C classes."""
        table = np.full(NONE + 1, ignore_index_of(num_classes), label_type(num_classes))
        table[: len(self.classes)] = self.classes
        return table[self.ids]


@runtime_checkable
class SegmentedSplit(Labelled, Protocol):
    """A split whose samples have segments."""

    def read_segments(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str, Segments]:
        """Image, mask and name as by `read`, and the segments."""


class SegmentedDataset(SegmentationDataset):
    """A split with segments as tensors: samples have `segments`, `segment_classes` and `segment_crowds`, too.

    Image and mask are those of `SegmentationDataset`. Arguments are as there.
    """

    split: SegmentedSplit

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        with single_threaded_opencv():
            image, mask, name, segments = self.split.read_segments(index)
            check_sizes(image, mask, name)
            if segments.ids.shape != mask.shape or len(segments.classes) != len(segments.crowds):
                raise UserError(
                    f"{name}: its segments do not fit its mask: give a map of one size, and a crowd for each"
                )
            maps = [mask, segments.ids]
            if self.augmentation is not None:
                image, maps = self.augmentation.jointly(image, maps, (self.seed, epoch, index), self.bands)
            elif self.has_nodata:
                missing = self.bands.without_data(image)
                maps = [without_missing(each, missing) for each in maps]
        sample = self.as_sample(image, maps[0], name)
        # 65535, which is none, becomes 0
        sample["segments"] = torch.from_numpy((maps[1] + np.uint16(1)).astype(np.int32))
        sample["segment_classes"] = torch.from_numpy(np.array(segments.classes, np.int64))
        sample["segment_crowds"] = torch.from_numpy(np.array(segments.crowds, np.bool_))
        return sample


def dataset_of(
    split: Labelled,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    num_classes: int | None = None,
    bands: Bands = RGB,
) -> SegmentationDataset:
    """The data set of a split, with segments if it has them. Arguments are those of `SegmentationDataset`."""
    kind = SegmentedDataset if isinstance(split, SegmentedSplit) else SegmentationDataset
    return kind(split, augmentation, seed, num_classes, bands)
