"""Cache of decoded samples: shards that are mapped into memory, so that a crop reads only its own rows.

folder/<split>-00000.bin    images (H, W, bands) and masks (H, W) of 16 samples in their own types, one after the other
folder/<split>-00000.json   their offsets, the files that they were decoded from, and the SHA-256 of the shard
folder/index.json           the version, and the number of images of each split; written last

commands/cache.py writes these files.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.interfaces import Labelled
from seglight.system.checksums import file_sha256

VERSION = 2  # 1 had images as they are stored, before EXIF turns them
"""Version of the file layout and of the decoding: a cache of another version is built again."""

INDEX = "index.json"
"""Name of the file that is written last: without it there is no cache to read."""

SHARD_LENGTH = 16
"""Number of samples in a shard."""

MASK_TYPES = ("uint8", "uint16")
"""Types of masks; those of images are in `seglight.images.bands.TYPES`."""


@dataclass(frozen=True)
class Stamp:
    """State of a file: size in bytes, time of the last change in ns, SHA-256."""

    path: str
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """State of a file now."""
        stat = path.stat()
        return cls(str(path), stat.st_size, stat.st_mtime_ns, file_sha256(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is unchanged: by its content if only its time has changed, as after a copy."""
        try:
            stat = path.stat()
        except OSError:
            return False
        same_time = stat.st_mtime_ns == self.mtime_ns
        return stat.st_size == self.size and (same_time or file_sha256(path) == self.sha256)


@dataclass(frozen=True)
class Record:
    """Entry of a sample: offset in the shard in bytes, size in pixels, source files, bands, types of image and mask."""

    name: str
    offset: int
    height: int
    width: int
    sources: tuple[Stamp, ...]
    bands: int = 3
    dtype: str = "uint8"
    mask_dtype: str = "uint8"

    def arrays(self, shard: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Image (H, W, bands) and mask (H, W) as views of the bytes of the shard, whatever their types."""
        kinds = np.dtype(self.dtype), np.dtype(self.mask_dtype)
        start = aligned(self.offset, kinds[0])
        end = start + self.height * self.width * self.bands * kinds[0].itemsize
        begin = aligned(end, kinds[1])
        mask = shard[begin : begin + self.height * self.width * kinds[1].itemsize].view(kinds[1])
        image = shard[start:end].view(kinds[0]).reshape(self.height, self.width, self.bands)
        return image, mask.reshape(self.height, self.width)


@dataclass(frozen=True)
class Shard:
    """Content of the JSON file beside a shard."""

    version: int
    fingerprint: str
    stamp: Stamp
    records: tuple[Record, ...]

    @classmethod
    def load(cls, path: Path) -> "Shard":
        """Read the JSON of a shard.

        Raises:
            OSError, ValueError, KeyError, TypeError: It is missing or not what `seglight cache` wrote.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(
            Record(**{**record, "sources": tuple(Stamp(**stamp) for stamp in record["sources"])})
            for record in raw["records"]
        )
        return cls(raw["version"], raw["fingerprint"], Stamp(**raw["stamp"]), records)


class CachedSplit:
    """A split read from shards instead of its files.

    Args:
        folder: Folder that `seglight cache` wrote.
        name: "train", "val" or "test".
        split: Split that the cache must have been written from, with its files unchanged.

    Raises:
        UserError: The cache is incomplete, damaged, or of other files, labels or versions.
    """

    def __init__(self, folder: Path, name: str, split: Labelled) -> None:
        self.folder = folder
        self.name = name
        self.split = split
        self.shards = [load_checked(folder, name, number, split) for number in range(check_index(folder, name, split))]
        self.maps: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.split)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the split."""
        return self.split.fingerprint

    def sources(self, index: int) -> tuple[Path, ...]:
        """Files of the sample in the split."""
        return self.split.sources(index)

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image (H, W, bands) and mask (H, W) as views of the file, and the name."""
        number, position = divmod(index, SHARD_LENGTH)
        if number not in self.maps:
            self.maps[number] = np.memmap(shard_path(self.folder, self.name, number), np.uint8, "r")
        record = self.shards[number].records[position]
        if record.dtype != "uint8" or record.mask_dtype != "uint8":
            return *record.arrays(self.maps[number]), record.name
        # views of memory-mapped files take time: as few of them as bytes need
        pixels = record.height * record.width
        raw = self.maps[number][record.offset : record.offset + (record.bands + 1) * pixels]
        image = raw[: record.bands * pixels].reshape(record.height, record.width, record.bands)
        return image, raw[record.bands * pixels :].reshape(record.height, record.width), record.name

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "maps": {}}  # a spawned worker maps the files itself


def aligned(offset: int, kind: np.dtype[Any]) -> int:
    """The next offset in bytes at which values of a type can be read in place."""
    return -(-offset // kind.itemsize) * kind.itemsize


def shard_path(folder: Path, name: str, number: int) -> Path:
    """Path of a shard."""
    return folder / f"{name}-{number:05d}.bin"


def check_index(folder: Path, name: str, split: Labelled) -> int:
    """Check the index of a cache, and return the number of shards of a split.

    Raises:
        UserError: The cache is incomplete, or of another version or number of images.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _refusal(folder, "no finished cache there") from None
    if index["version"] != VERSION:
        raise _refusal(folder, f"written by version {index['version']} of the cache, this is {VERSION}")
    images = index["splits"].get(name, 0)
    if images != len(split):
        raise _refusal(folder, f"holds {images} images of the {name} split, which has {len(split)} now")
    return -(-len(split) // SHARD_LENGTH)


def load_checked(folder: Path, name: str, number: int, split: Labelled) -> Shard:
    """Read the JSON file of a shard, and check the shard and its source files.

    Raises:
        UserError: They differ from the JSON file.
    """
    path = shard_path(folder, name, number)
    try:
        shard = Shard.load(path.with_suffix(".json"))
    except (OSError, ValueError, KeyError, TypeError):
        raise _refusal(folder, f"{path.with_suffix('.json').name} is missing or damaged") from None
    fault = stale(shard, split, number)
    if fault:
        raise _refusal(folder, fault)
    if not shard.stamp.holds(path):
        raise _refusal(folder, f"{path.name} is missing or damaged")
    return shard


def stale(shard: Shard, split: Labelled, number: int) -> str | None:
    """Why a shard does not fit the split as it is now; None if it does."""
    if (shard.version, shard.fingerprint) != (VERSION, split.fingerprint):
        return "the classes, the bands or the codec have changed since"
    indices = range(number * SHARD_LENGTH, min((number + 1) * SHARD_LENGTH, len(split)))
    if len(indices) != len(shard.records):
        return "the number of images has changed since"
    for index, record in zip(indices, shard.records, strict=True):
        paths = split.sources(index)
        if [str(path) for path in paths] != [stamp.path for stamp in record.sources]:
            return f"{record.name} was image {index} of the split, now another is"
        changed = [path for path, stamp in zip(paths, record.sources, strict=True) if not stamp.holds(path)]
        if changed:
            return f"{changed[0]} has changed since"
    return None


def _refusal(folder: Path, fault: str) -> UserError:
    return UserError(f"{folder}: {fault}: bring it up to date with `seglight cache --config RECIPE --out {folder}`")
