"""Decode a data set once into shards of samples, which any data module with `cache: DIR` reads instead of files.

A shard gets its name only when it is complete, so a build that was killed resumes with the missing ones. A build over
an older cache writes only what has changed.
"""

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from seglight.commands.recipe import datamodule_from
from seglight.data import SegmentationDataModule
from seglight.data.augmentation.transforms import check_sizes
from seglight.data.cache import (
    INDEX,
    MASK_TYPES,
    SHARD_LENGTH,
    VERSION,
    Record,
    Shard,
    Stamp,
    aligned,
    shard_path,
    stale,
)
from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.scenes import ScenesDataModule
from seglight.errors import UserError
from seglight.images.bands import TYPES
from seglight.images.opencv import single_threaded_opencv
from seglight.interfaces import Labelled
from seglight.system.atomic import atomic_path, atomic_write, remove_parts
from seglight.system.cores import usable_cores
from seglight.system.parsing import new_parser
from seglight.system.terminal import plain_console
from seglight.training.resume.folder import check_outside
from seglight.training.resume.lock import locked


def cache(datamodule: SegmentationDataModule, out: str) -> dict[str, int]:
    """Write all splits of a data set to `out`, or update an existing cache.

    Args:
        datamodule: Data module of the data set.
        out: Folder of the cache.

    Returns:
        The number of images by split.

    Raises:
        UserError: A file of the data set is damaged, the disk is too small, the folder belongs to the data set, or
            another process builds a cache there.
    """
    folder = Path(out)
    check_outside(folder, datamodule.root if isinstance(datamodule, FileDataModule) else None, "--out")
    with locked(folder, "--out"):
        return build(datamodule, folder)


def build(datamodule: SegmentationDataModule, folder: Path) -> dict[str, int]:
    """Build the cache as `cache` does, in a folder that is already locked."""
    splits = existing_splits(datamodule)
    check_space(folder, splits)
    (folder / INDEX).unlink(missing_ok=True)
    shards = Shards(folder, splits)
    # unlike the workers of a process pool, those of a loader end when their parent is killed
    workers = DataLoader(shards, batch_size=None, num_workers=min(usable_cores(), len(shards)))
    console = plain_console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("cache", total=sum(map(len, splits.values())))
        for written in workers:
            progress.advance(task, written)
    remove_parts(folder)
    lengths = {name: len(split) for name, split in splits.items()}
    atomic_write(folder / INDEX, json.dumps({"version": VERSION, "splits": lengths}))
    return lengths


class Shards(Dataset[int]):
    """Shards of all splits; reading an item writes that shard, and returns the number of its samples."""

    def __init__(self, folder: Path, splits: dict[str, Labelled]) -> None:
        self.folder = folder
        self.jobs = [
            (name, number, split) for name, split in splits.items() for number in range(-(-len(split) // SHARD_LENGTH))
        ]

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: int) -> int:
        with single_threaded_opencv():
            return write_shard(self.folder, *self.jobs[index])


def existing_splits(datamodule: SegmentationDataModule) -> dict[str, Labelled]:
    """The splits "train" and "val" of a data set, and "test" if it exists.

    Raises:
        UserError: "train" or "val" does not exist.
    """
    if isinstance(datamodule, ScenesDataModule):
        raise UserError("data: a cache holds whole images, and scenes are read by window: train without one")
    splits = {name: datamodule.split(name) for name in ("train", "val")}
    with suppress(UserError):  # the labels of many test splits are not public
        splits["test"] = datamodule.split("test")
    return splits


def check_space(folder: Path, splits: dict[str, Labelled]) -> None:
    """Check that the disk has room for the cache, estimated from eight images of each split.

    Raises:
        UserError: It has not.
    """
    need = 0.0
    for split in splits.values():
        few = range(0, len(split), -(-len(split) // 8))
        need += len(split) * sum(image.nbytes + mask.nbytes for image, mask, _ in map(split.read, few)) / len(few)
    existing = sum(path.stat().st_size for path in folder.glob("*.bin"))
    free = shutil.disk_usage(folder).free
    if need > free + existing:
        raise UserError(
            f"{folder}: the cache needs about {need / 1e9:.1f} GB, but only {(free + existing) / 1e9:.1f} GB are free: "
            "choose another --out"
        )


def write_shard(folder: Path, name: str, number: int, split: Labelled) -> int:
    """Write a shard unless it is up to date; returns the number of its samples.

    Raises:
        UserError: A file is damaged, has unknown label values, or is of a type that a cache does not hold.
    """
    path = shard_path(folder, name, number)
    indices = range(number * SHARD_LENGTH, min((number + 1) * SHARD_LENGTH, len(split)))
    if is_current(path, number, split):
        return len(indices)
    records = []
    offset = 0
    digest = hashlib.sha256()
    with atomic_path(path, sync=True) as part, part.open("wb") as file:
        for index in indices:
            sources = tuple(map(Stamp.of, split.sources(index)))  # before reading, to detect a change in between
            image, mask, label = split.read(index)
            check_sizes(image, mask, label)
            check_types(image, mask, label)
            kinds = str(image.dtype), str(mask.dtype)
            records.append(Record(label, offset, mask.shape[0], mask.shape[1], sources, image.shape[2], *kinds))
            for pixels in (image, mask):
                gap = aligned(offset, pixels.dtype) - offset
                content = bytes(gap) + pixels.tobytes()
                digest.update(content)
                offset += file.write(content)
    stamp = Stamp(path.name, offset, path.stat().st_mtime_ns, digest.hexdigest())
    shard = Shard(VERSION, split.fingerprint, stamp, tuple(records))
    atomic_write(path.with_suffix(".json"), json.dumps(asdict(shard)))
    return len(indices)


def check_types(image: NDArray[Any], mask: NDArray[Any], label: str) -> None:
    """Check that image and mask are of types that a cache holds.

    Raises:
        UserError: They are of others.
    """
    if str(image.dtype) not in TYPES or str(mask.dtype) not in MASK_TYPES:
        raise UserError(
            f"{label}: {image.dtype} image and {mask.dtype} mask: a cache takes images of {', '.join(TYPES)} and masks "
            f"of {', '.join(MASK_TYPES)}: train without one"
        )


def is_current(path: Path, number: int, split: Labelled) -> bool:
    """Whether a shard exists, is complete, and matches the current files of the split."""
    try:
        shard = Shard.load(path.with_suffix(".json"))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return stale(shard, split, number) is None and shard.stamp.holds(path)


def main(args: list[str]) -> None:
    """Run `cache`.

    Raises:
        UserError: As for `cache`, or the arguments are wrong.
    """
    parser = new_parser("cache", __doc__)
    parser.add_argument("--out", type=str, required=True, help="folder of the cache")
    datamodule, options = datamodule_from(parser, args[1:])
    lengths = ", ".join(f"{count} {name}" for name, count in cache(datamodule, options.out).items())
    size = sum(path.stat().st_size for path in Path(options.out).glob("*.bin")) / 1e9
    summary = f"{lengths} images, {size:.2f} GB in {options.out}"
    plain_console().print(f"{summary}\nto train from it: --data.cache {options.out}")
