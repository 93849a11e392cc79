"""Images that are in two splits, whose score includes training images."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seglight.data.pairs import FilePairs
from seglight.errors import UserError
from seglight.interfaces import Labelled
from seglight.system.checksums import file_sha256

FEW = 0.01
"""Fraction of the validation images up to which there is only a hint: some benchmarks share a few, which move a score
by a hundredth at most, and are no reason to score by other rules than everybody."""

SAMPLED = 4000
"""Largest number of files that are opened, evenly spread; of the others, real path and inode are compared."""

PIECE = 4096
"""Bytes at the beginning, the middle and the end of a file that are compared first."""


def check_disjoint(train: Labelled, val: Labelled) -> list[str]:
    """Check that a training is not validated on its own images.

    Args:
        train: Training split.
        val: Validation split.

    Returns:
        A line about the images that both splits contain if they are few; nothing if there are none.

    Raises:
        UserError: There are more than a few.
    """
    shared = shared_images(train, val)
    if not shared:
        return []
    (path, other), more = shared[0], f" (and {len(shared) - 1} more are)" if len(shared) > 1 else ""
    same = "" if path == other else f", as {other}"
    message = f"{path}: a validation image that is a training image too{same}{more}: "
    if len(shared) <= FEW * len(val):
        return [f"{message}{len(shared)} of {len(val)}, for which the score includes training images"]
    raise UserError(
        f"{message}the score would include training images: remove them from one split; to train on them without a "
        "score, add --trainer.limit_val_batches 0, and to overfit on purpose --trainer.overfit_batches 1.0"
    )


def shared_images(first: Labelled, second: Labelled) -> list[tuple[Path, Path]]:
    """Images of the second split that are in the first one, too, each with its file there.

    Links are recognised by their inode, copies by their content. Pixels are not compared: `seglight doctor` compares
    them, and finds images that were saved again.
    """
    ours = _files(first)
    theirs = _files(second)
    by_inode = {(status.st_dev, status.st_ino): path for path, status in ours.items()}
    found = {
        path: by_inode[status.st_dev, status.st_ino]
        for path, status in theirs.items()
        if (status.st_dev, status.st_ino) in by_inode
    }
    rest = {path: status for path, status in theirs.items() if path not in found}
    found |= dict(_copies(ours, rest))
    return [(path, found[path]) for path in theirs if path in found]


def _files(split: Labelled) -> dict[Path, os.stat_result]:
    """Image files of a split; none if several samples come from one file, as from an archive.

    A list of files may name each file several times.
    """
    paths = {files[0] for index in range(len(split)) if (files := split.sources(index))}
    if not isinstance(split, FilePairs) and 2 * len(paths) <= len(split) > 1:
        return {}
    return {path: path.stat() for path in sorted(paths) if path.is_file()}


def _copies(ours: Mapping[Path, os.stat_result], theirs: Mapping[Path, os.stat_result]) -> Iterator[tuple[Path, Path]]:
    """Files of the second that equal files of the first: in size, then in pieces, then in content."""
    sizes = {status.st_size for status in ours.values()} & {status.st_size for status in theirs.values()}
    candidates = [_spread([path for path in files if files[path].st_size in sizes]) for files in (ours, theirs)]
    for digest in (_pieces_hash, file_sha256):
        groups = [_grouped(paths, digest) for paths in candidates]
        common = groups[0].keys() & groups[1].keys()
        candidates = [[path for key in group if key in common for path in group[key]] for group in groups]
    yield from ((path, groups[0][key][0]) for key in groups[1] if key in common for path in groups[1][key])


def _spread(paths: Sequence[Path]) -> list[Path]:
    most = SAMPLED // 2
    return [paths[index * len(paths) // most] for index in range(most)] if len(paths) > most else list(paths)


def _grouped(paths: Iterable[Path], digest: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[digest(path)].append(path)
    return groups


def _pieces_hash(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.blake2b(digest_size=16)
    digest.update(str(size).encode())
    with path.open("rb") as file:
        for start in (0, size // 2, size - PIECE):
            file.seek(max(0, start))
            digest.update(file.read(PIECE))
    return digest.hexdigest()
