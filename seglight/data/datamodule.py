"""Splits, loaders and the class contract that every data set keeps."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from seglight.data.augmentation.transforms import Augmentation
from seglight.data.cache import CachedSplit
from seglight.data.classes import Classes
from seglight.data.collate import collate, collate_padded
from seglight.data.dataset import SegmentationDataset
from seglight.data.disjoint import check_disjoint
from seglight.data.loader import Loader
from seglight.data.loading_options import check_batches, check_loading
from seglight.data.pairs import FilePairs, ImageSplit, root_folder
from seglight.data.sampler import EvalSampler, SameSamples, sampler_kind
from seglight.data.segments import SegmentedSplit, dataset_of
from seglight.data.split_lists import listed
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.types import Color
from seglight.interfaces import Described, Labelled, Sample
from seglight.ops.label_types import MOST_CLASSES

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
        bands: What the images hold; 8-bit RGB by default.

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
        bands: Bands = RGB,
    ) -> None:
        super().__init__()
        check_loading(num_workers, seed, batch_size=batch_size, eval_batch_size=eval_batch_size)
        if not 2 <= len(classes) <= MOST_CLASSES:
            raise UserError(f"{len(classes)} classes: there must be 2 to {MOST_CLASSES}, the background counts as one")
        self.classes = classes
        self.num_classes = len(classes)
        self.ignore_index = classes.ignore_index
        self.class_names: list[str] = list(classes.names)
        self.palette: list[Color] = list(classes.palette)
        self.bands = bands
        self.things: tuple[int, ...] = ()
        """Classes that have instances; a data module with segments sets it, and its other classes are stuff."""
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
            "bands": self.bands,
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
            self.check_disjoint()

    def check_disjoint(self) -> None:
        """Check that the training and validation splits, which are set up, have no images in common.

        Raises:
            UserError: They have more than a few.
        """
        check_disjoint(self.splits["train"], self.splits["val"])

    def _source(self, name: str) -> Labelled:
        split = self.split(name)
        if self.cache is None:
            return split
        if isinstance(split, SegmentedSplit):
            raise UserError(f"data.cache: {self.cache} holds no instances: remove data.cache")
        return CachedSplit(Path(self.cache), name, split)

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
        return self._training_set()[0, 0]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Loader of augmented crops in the order of (seed, epoch); the same ones in each epoch if the trainer overfits.

        An incomplete last batch is dropped.
        """
        dataset = self._training_set()
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
        dataset = dataset_of(self.splits["val"], bands=self.bands)
        options = {"sampler": SameSamples(len(dataset), self.seed), "collate_fn": collate_padded, **self._workers()}
        # Lightning builds this loader again, and passes the batch size by its name
        return Loader(dataset, batch_size=self.eval_batch_size, **options)

    def _training_set(self) -> SegmentationDataset:
        return dataset_of(self.splits["train"], self.augmentation, self.seed, self.num_classes, self.bands)

    def _eval_loader(self, name: str) -> DataLoader[Sample]:
        dataset = dataset_of(self.splits[name], num_classes=self.num_classes, bands=self.bands)
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

    A subclass whose images are not 8-bit RGB sets `bands`, too, before it calls `__init__`.

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
    bands: Bands = RGB

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
        super().__init__(self.classes, batch_size, eval_batch_size, num_workers, seed, augmentation, cache, self.bands)
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
            return self._as_declared(self.layout_split(name))
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
                found.append(self._as_declared(self.layout_split(name)))
            except UserError as error:
                missing.append(error)
        if not found:
            raise missing[0]
        return found

    def _as_declared(self, split: Labelled) -> Labelled:
        """The split with images of the module's bands."""
        if self.bands.is_rgb8:
            return split
        if not isinstance(split, ImageSplit):
            raise UserError(f"bands: {type(self).__name__} reads 8-bit RGB only: use FolderDataModule")
        return split.with_bands(self.bands)
