"""Cityscapes, fine annotations in 19 classes (Cordts et al. 2016).

root/leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png  root/gtFine/{...}/<city>/*_gtFine_labelIds.png
                                                            root/gtFine/{...}/<city>/*_gtFine_instanceIds.png
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.transforms import Augmentation
from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.cityscapes_classes import CLASSES, TRAIN_IDS
from seglight.data.labels import LabelCodec, read_index
from seglight.data.pairs import FilePairs, existing_folder, surplus_masks
from seglight.data.segments import NONE, Segments
from seglight.errors import UserError

# 255 is label id -1, the number plate, in an 8-bit file
CODEC = LabelCodec(
    {label_id: index for index, label_id in enumerate(TRAIN_IDS)},
    ignored=tuple(value for value in (*range(34), 255) if value not in TRAIN_IDS),
)


THINGS = tuple(range(CLASSES.names.index("person"), len(CLASSES)))
"""Classes that have instances."""

INSTANCES = 1000
"""An id of an instance is that of its label times this, plus its number; a smaller id is that of a label."""


@dataclass(frozen=True)
class CityscapesInstances(FilePairs):
    """The pairs, with their segments from the files of instance ids beside the masks."""

    def read_segments(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str, Segments]:
        """Image, mask and name as by `read`, and the segments. Groups of a thing that are not separated are crowds.

        Raises:
            UserError: A file is missing or damaged, or contains an id of no label.
        """
        image, mask, name = self.read(index)
        path = self.masks[index].with_name(self.masks[index].name.replace("labelIds", "instanceIds"))
        if not path.is_file():
            raise UserError(f"{path}: no such file, where instance ids should be: unpack gtFine_trainvaltest.zip again")
        values = read_index(path)
        ids = np.flatnonzero(np.bincount(values.ravel()))
        labels = np.where(ids < INSTANCES, ids, ids // INSTANCES)
        classes = self.codec.mapped(labels.astype(np.uint16), path).astype(np.int64)  # type: ignore[attr-defined]
        scored = classes != CLASSES.ignore_index
        table = np.full(int(ids.max(initial=0)) + 1, NONE, np.uint16)
        table[ids[scored]] = np.arange(scored.sum())
        crowds = (ids < INSTANCES) & np.isin(classes, THINGS)
        return image, mask, name, Segments(table[values], classes[scored], crowds[scored])


class CityscapesDataModule(FileDataModule):
    """Cityscapes. The public labels of its test split are blank: score on `val`.

    Args:
        root: Folder of the data set.
        augmentation: Augmentation of training samples, or None.
        instances: Whether samples have segments as well, from the files of instance ids.
        **kwargs: Arguments of FileDataModule.
    """

    classes = CLASSES

    def __init__(
        self, root: str, augmentation: Augmentation | None = None, *, instances: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(root, augmentation, **kwargs)
        self.instances = instances
        if instances:
            self.things = THINGS

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train" or "val"."""
        if name == "test":
            raise UserError("Cityscapes' test labels are not public: score with `seglight validate`")
        folder = existing_folder(self.root / "leftImg8bit" / name, f"Cityscapes' {name} images by city")
        images = sorted(folder.glob("*/*_leftImg8bit.png"))
        if not images:
            raise UserError(f"{folder}: no <city>/*_leftImg8bit.png there: unpack leftImg8bit_trainvaltest.zip again")
        labels = self.root / "gtFine" / name
        masks = [
            labels / image.parent.name / image.name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")
            for image in images
        ]
        kind = CityscapesInstances if self.instances else FilePairs
        return kind(images, masks, CODEC, surplus_masks(labels, masks, "*/*_gtFine_labelIds.png"))
