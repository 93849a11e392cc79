"""Splits, loaders and the class contract that every data set keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from seglight.data.augmentation.transforms import Augmentation, check_sizes
from seglight.data.cache import CachedSplit
from seglight.data.classes import IGNORE_INDEX, Classes
from seglight.data.collate import collate, collate_padded
from seglight.data.disjoint import check_disjoint
from seglight.data.loading_options import check_batches, check_loading
from seglight.data.pairs import FilePairs, root_folder
from seglight.data.sampler import EvalSampler, Key, SameSamples, sampler_kind
from seglight.data.split_lists import listed
from seglight.errors import UserError
from seglight.images.opencv import single_threaded_opencv
from seglight.images.types import Color
from seglight.interfaces import Described, Labelled, Sample
from seglight.ops.label_values import check_labels
from seglight.system.signals import blocked_signals

SPLITS = ("train", "val", "test")

OPTIONS = ("augmentation", "batch_size", "eval_batch_size", "num_workers", "seed")
"""Attributes of a data module that decide how images are loaded."""


class SegmentationDataModule(Described, LightningDataModule):
    """Base class of all data modules: a subclass passes `classes` to `__init__` and defines `split(name)`.

    Args:
        classes: Names and colours of the classes.
        batch_size: Training samples per process and step.
        eval_batch_size: Images per process and step in evaluation; the net is applied to each by itself.
        num_workers: Number of loader processes. The samples do not depend on it.
        seed: Seed of order and augmentation.
        augmentation: Augmentation of training samples, or None.
        cache: Folder that `seglight cache` wrote from this data, or None to decode the files each time.

    Raises:
        UserError: A number is out of range.
    """

    def __init__(
        self,
        classes: Classes,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        augmentation: Augmentation | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        check_loading(num_workers, seed, batch_size=batch_size, eval_batch_size=eval_batch_size)
        self.classes = classes
        self.num_classes = len(classes)
        self.ignore_index = IGNORE_INDEX
        self.class_names: list[str] = list(classes.names)
        self.palette: list[Color] = list(classes.palette)
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.cache = cache
        self.start = (0, 0, 0)
        self.built_options = {name: getattr(self, name) for name in OPTIONS}
        """The options as they were given; Lightning's BatchSizeFinder, and users, change the attributes."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a module has to know of the data: `SegmentationModule(net, **data.facts)`."""
        return {
            "num_classes": self.num_classes,
            "ignore_index": self.ignore_index,
            "class_names": self.class_names,
            "palette": self.palette,
        }

    def split(self, name: str) -> Labelled:
        """The labelled images of "train", "val" or "test".

        Raises:
            UserError: There is no such split, with the place where it was expected.
        """
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        """Find the splits that a stage needs, before anything else takes time; "predict" needs the validation split.

        Raises:
            UserError: A split is missing, has fewer images than a step needs, would be trained on and scored, or does
                not fit the trainer's limits.
        """
        self.start = (0, 0, 0)  # not where a former run of this data module was resumed
        splits = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("val",)}
        self.splits = {name: self._source(name) for name in splits[stage]}
        world_size = self.trainer.world_size if self.trainer else 1
        for name, split in self.splits.items():
            least = world_size * self.batch_size if name == "train" else 1
            if len(split) < least:
                raise UserError(
                    f"the {name} split has {len(split)} images where one step takes {least}: "
                    "lower data.batch_size or trainer.devices, or add images"
                )
            if self.trainer is not None and stage != "predict":
                size = self.batch_size if name == "train" else self.eval_batch_size
                batches = len(split) // least if name == "train" else -(-len(split) // (world_size * size))
                check_batches(self.trainer, name, batches)
        trainer: Any = self.trainer
        if stage == "fit" and trainer and trainer.limit_val_batches != 0 and trainer.overfit_batches == 0:
            check_disjoint(self.splits["train"], self.splits["val"])

    def _source(self, name: str) -> Labelled:
        split = self.split(name)
        return split if self.cache is None else CachedSplit(Path(self.cache), name, split)

    def start_at(self, epoch: int, samples: int, eval_batches: int) -> None:
        """Start the loaders within an epoch or within an evaluation.

        Args:
            epoch: First epoch.
            samples: Number of its samples that all processes together have finished.
            eval_batches: Number of batches of the first evaluation that each process has finished.
        """
        self.start = (epoch, samples, eval_batches)

    def example(self) -> Sample:
        """The first training sample, after `setup`."""
        return SegmentationDataset(self.splits["train"], self.augmentation, self.seed, self.num_classes)[0, 0]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Loader of augmented crops in the order of (seed, epoch); the same ones in each epoch if the trainer overfits.

        An incomplete last batch is dropped.
        """
        dataset = SegmentationDataset(self.splits["train"], self.augmentation, self.seed, self.num_classes)
        # Lightning's BatchSizeFinder doubles it beyond the number of images
        self.batch_size = min(self.batch_size, len(dataset) // self._rank()[1])
        sampler = sampler_kind(self.trainer)(len(dataset), self.seed, *self._rank())
        sampler.start_at(*self.start[:2])
        # the samplers' keys are (epoch, index), not bare indices
        return Loader(dataset, self.batch_size, sampler=sampler, drop_last=True, collate_fn=collate, **self._workers())

    def val_dataloader(self) -> DataLoader[Sample]:
        """Loader of each image of the validation split once, padded to the largest one of its batch."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Loader of each image of the test split once, padded to the largest one of its batch."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Loader of the validation split in order, for `Trainer.predict`, which itself divides it among processes."""
        dataset = SegmentationDataset(self.splits["val"])
        options = {"sampler": SameSamples(len(dataset), self.seed), "collate_fn": collate_padded, **self._workers()}
        # Lightning builds this loader again, and passes the batch size by its name
        return Loader(dataset, batch_size=self.eval_batch_size, **options)

    def _eval_loader(self, name: str) -> DataLoader[Sample]:
        dataset = SegmentationDataset(self.splits[name], num_classes=self.num_classes)
        sampler = EvalSampler(len(dataset), self.eval_batch_size, *self._rank())
        if name == "val":
            sampler.start_at(self.start[2])
            self.start = (*self.start[:2], 0)
        return Loader(dataset, batch_sampler=sampler, collate_fn=collate_padded, **self._workers())

    def _workers(self) -> dict[str, Any]:
        return {
            "num_workers": self.num_workers,
            "pin_memory": torch.cuda.is_available(),
            "persistent_workers": self.num_workers > 0,
            # otherwise each new iterator draws from the global generator, persistent workers only once
            "generator": torch.Generator().manual_seed(self.seed),
        }

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class FileDataModule(SegmentationDataModule):
    """Base class of data sets in a folder: a subclass sets `classes` and defines `listing(name)`.

    Args:
        root: Folder of the data set; the docstring of the module shows its layout.
        augmentation: Augmentation of training samples, or None.
        batch_size: Training samples per process and step.
        eval_batch_size: Images per process and step in evaluation; the net is applied to each by itself.
        num_workers: Number of loader processes. The samples do not depend on it.
        seed: Seed of order and augmentation.
        cache: Folder that `seglight cache` wrote from this data, or None to decode the files each time.
        lists: Folder with `train.txt`, `val.txt` and `test.txt`, which select the images of the splits from all images
            of the layout: a path below root, a name or a stem per line. None: the splits are those of the layout.

    Raises:
        UserError: A number is out of range, or the data module has a `split` of its own, which reads no lists.
    """

    classes: Classes

    def __init__(
        self,
        root: str,
        augmentation: Augmentation | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        num_workers: int = 2,
        seed: int = 0,
        cache: str | None = None,
        lists: str | None = None,
    ) -> None:
        super().__init__(self.classes, batch_size, eval_batch_size, num_workers, seed, augmentation, cache)
        self.root = root_folder(root)
        self.lists = Path(lists) if lists is not None else None
        if lists is not None and type(self).split is not FileDataModule.split:
            raise UserError(
                f"data.lists: {type(self).__name__} has a `split` of its own, which reads no lists: "
                "define `layout_split` instead"
            )

    def listing(self, name: str) -> FilePairs:
        """The pairs of files that the layout expects for "train", "val" or "test", whether they exist or not.

        Raises:
            UserError: There is no such split, with the place where it was expected.
        """
        raise NotImplementedError

    def layout_split(self, name: str) -> Labelled:
        """The images of "train", "val" or "test" in the layout, whether their files exist or not.

        Data modules whose labels are no files for each image define this method instead of `listing`.

        Raises:
            UserError: There is no such split, with the place where it was expected.
        """
        return self.listing(name)

    def unchecked_split(self, name: str) -> Labelled:
        """The images of a split, by `lists` if there are any, whether their files exist or not.

        Raises:
            UserError: There is no such split.
        """
        if self.lists is None:
            return self.layout_split(name)
        return listed(self.lists / f"{name}.txt", self.root, self.pool)

    def split(self, name: str) -> Labelled:
        """The labelled images of "train", "val" or "test".

        Raises:
            UserError: The split or one of its files is missing.
        """
        split = self.unchecked_split(name)
        return split.checked() if isinstance(split, FilePairs) else split

    def pool(self) -> list[Labelled]:
        """All splits that the layout has.

        Raises:
            UserError: It has none.
        """
        found: list[Labelled] = []
        missing: list[UserError] = []
        for name in SPLITS:
            try:
                found.append(self.layout_split(name))
            except UserError as error:
                missing.append(error)
        if not found:
            raise missing[0]
        return found


class Loader(DataLoader[Sample]):
    """A loader whose processes do not receive signals that end a training."""

    def __iter__(self) -> Any:
        with blocked_signals():
            return super().__iter__()


class SegmentationDataset(Dataset[Sample]):
    """A split as tensors, indexed by (epoch, index), so that workers need no state for the epoch.

    Args:
        split: Labelled images.
        augmentation: Augmentation of the samples, or None.
        seed: Seed of the augmentation.
        num_classes: Number of classes for a check of the labels, which takes place here because the name of the image
            is known and no GPU has to be waited for; None: no check.
    """

    def __init__(
        self, split: Labelled, augmentation: Augmentation | None = None, seed: int = 0, num_classes: int | None = None
    ) -> None:
        self.split = split
        self.augmentation = augmentation
        self.seed = seed
        self.num_classes = num_classes

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        with single_threaded_opencv():
            image, mask, name = self.split.read(index)
            check_sizes(image, mask, name)
            if self.augmentation is not None:
                image, mask = self.augmentation(image, mask, (self.seed, epoch, index))
        # arrays of files and caches are read-only, which torch does not accept: copied only then
        image, mask = (np.require(pixels, requirements=["C", "W"]) for pixels in (image, mask))
        # (3, H, W) over memory that is (H, W, 3): a batch of these is channels_last without a copy
        tensor, labels = torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)
        if self.num_classes is not None:
            try:
                check_labels(labels, self.num_classes, IGNORE_INDEX)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
        return {"image": tensor, "mask": labels, "name": name}
