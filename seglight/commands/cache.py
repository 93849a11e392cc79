"""Decode a data set once: shards of uint8 samples that `cache: DIR` of any data module reads in place of the files.

A shard gets its name only when it is whole, so that a build that was killed goes on with those that are missing; a
build over an older cache writes what has changed and leaves the rest.
"""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from seglight.commands.recipe import datamodule_from
from seglight.data import SegmentationDataModule
from seglight.data.augmentation.transforms import check_sizes
from seglight.data.cache import INDEX, SHARD_LENGTH, VERSION, Record, Shard, Stamp, shard_path, stale
from seglight.data.datamodule import FileDataModule
from seglight.errors import UserError
from seglight.images.opencv import single_threaded_opencv
from seglight.interfaces import Labelled
from seglight.system.atomic import atomic_path, atomic_write, remove_parts
from seglight.system.parsing import new_parser
from seglight.system.terminal import plain_console
from seglight.training.resume.folder import check_outside
from seglight.training.resume.lock import locked


def cache(datamodule: SegmentationDataModule, out: str) -> dict[str, int]:
    """Write all splits of a data set to `out`, or bring what is there up to date.

    Args:
        datamodule: The data set.
        out: Folder of the cache.

    Returns:
        The number of images by split.

    Raises:
        UserError: A file of the data set is damaged, the disk is too small, the folder is the data set's, or another
            process builds a cache there.
    """
    folder = Path(out)
    check_outside(folder, datamodule.root if isinstance(datamodule, FileDataModule) else None, "--out")
    with locked(folder, "--out"):
        return build(datamodule, folder)


def build(datamodule: SegmentationDataModule, folder: Path) -> dict[str, int]:
    """As `cache`, in a folder that no other process writes to."""
    splits = existing_splits(datamodule)
    check_space(folder, splits)
    (folder / INDEX).unlink(missing_ok=True)
    shards = Shards(folder, splits)
    # loader workers, unlike a process pool's, end when their parent is killed
    workers = DataLoader(shards, batch_size=None, num_workers=min(os.cpu_count() or 1, len(shards)))
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
    """The shards of all splits; asked for one, it is written."""

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
    """The splits of a data set: "train" and "val", and "test" where it has one.

    Raises:
        UserError: "train" or "val" is not there.
    """
    splits = {name: datamodule.split(name) for name in ("train", "val")}
    with suppress(UserError):  # labels of many test splits are not public
        splits["test"] = datamodule.split("test")
    return splits


def check_space(folder: Path, splits: dict[str, Labelled]) -> None:
    """Nothing, if the disk has room for the cache, judged by eight images of each split.

    Raises:
        UserError: It has not.
    """
    need = 0.0
    for split in splits.values():
        few = range(0, len(split), -(-len(split) // 8))
        need += len(split) * sum(image.nbytes + mask.nbytes for image, mask, _ in map(split.read, few)) / len(few)
    there = sum(path.stat().st_size for path in folder.glob("*.bin"))
    free = shutil.disk_usage(folder).free
    if need > free + there:
        raise UserError(
            f"{folder}: the cache takes about {need / 1e9:.1f} GB, {(free + there) / 1e9:.1f} GB are free: "
            "choose another --out"
        )


def write_shard(folder: Path, name: str, number: int, split: Labelled) -> int:
    """Write a shard, unless it is there and current; gives the number of its samples.

    Raises:
        UserError: A file is damaged, or its label values are.
    """
    path = shard_path(folder, name, number)
    indices = range(number * SHARD_LENGTH, min((number + 1) * SHARD_LENGTH, len(split)))
    if is_current(path, number, split):
        return len(indices)
    records, offset, digest = [], 0, hashlib.sha256()
    with atomic_path(path, sync=True) as part, part.open("wb") as file:
        for index in indices:
            sources = tuple(map(Stamp.of, split.sources(index)))  # first: a change while reading is seen later
            image, mask, label = split.read(index)
            check_sizes(image, mask, label)
            if image.dtype != np.uint8 or mask.dtype != np.uint8:
                raise UserError(f"{label}: {image.dtype} image and {mask.dtype} mask: a cache holds uint8 alone")
            records.append(Record(label, offset, mask.shape[0], mask.shape[1], sources, image.shape[2]))
            for pixels in (image.tobytes(), mask.tobytes()):
                digest.update(pixels)
                offset += file.write(pixels)
    stamp = Stamp(path.name, offset, path.stat().st_mtime_ns, digest.hexdigest())
    shard = Shard(VERSION, split.fingerprint, stamp, tuple(records))
    atomic_write(path.with_suffix(".json"), json.dumps(asdict(shard)))
    return len(indices)


def is_current(path: Path, number: int, split: Labelled) -> bool:
    """Whether a shard is there, whole, and of the split as it is now."""
    try:
        shard = Shard.load(path.with_suffix(".json"))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return stale(shard, split, number) is None and shard.stamp.holds(path)


def main(args: list[str]) -> None:
    """Run `cache`.

    Raises:
        UserError: As `cache`, or the arguments are wrong.
    """
    parser = new_parser("cache", __doc__)
    parser.add_argument("--out", type=str, required=True, help="folder of the cache")
    datamodule, options = datamodule_from(parser, args[1:])
    lengths = ", ".join(f"{count} {name}" for name, count in cache(datamodule, options.out).items())
    size = sum(path.stat().st_size for path in Path(options.out).glob("*.bin")) / 1e9
    said = f"{lengths} images, {size:.2f} GB in {options.out}\ntrain from it: --data.init_args.cache {options.out}"
    plain_console().print(said)
