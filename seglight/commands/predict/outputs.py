"""Outputs for an image, and their paths below the output folder."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.inputs import Pixels, Source
from seglight.commands.predict.kinds import BEGINNINGS, FILES, LABELS, TABLES
from seglight.commands.predict.overlays import write_overlay
from seglight.commands.predict.submissions import ade_ids, cityscapes_ids, write_ids
from seglight.errors import UserError
from seglight.images.label_png import provenance_of
from seglight.images.types import LabelMap
from seglight.inference.predictor import Predictor
from seglight.system.atomic import atomic_path
from seglight.system.remote import is_address
from seglight.system.remote_errors import StorageError

FROM_IMAGE = (LABELS, "overlay", "probabilities")
"""Kinds that are made from the image itself."""

HEAD = 1 << 6
"""Bytes at the beginning of a table by which it is recognised."""

Writer: TypeAlias = Callable[[Path, Pixels | None, LabelMap], None]
"""Function of the path to write, the image (for kinds made from it, else None), and its label map."""


@contextmanager
def disk_errors(out: str) -> Iterator[None]:
    """Turn errors of the disk, or of a remote storage, within the block into one line.

    Raises:
        UserError: Nothing can be written to the output folder.
    """
    try:
        yield
    except StorageError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        told = f"--out {out}: {error}: free some space, or choose another folder"
        raise UserError(of_temporary_files(error) if is_address(out) else told) from error


def of_temporary_files(error: OSError) -> str:
    """What is to be done about an error of the folder in which downloads, and outputs before their upload, lie."""
    return f"the folder for temporary files: {error}: free some space, or let TMPDIR name a folder of another disk"


def output_path(out: Path, kind: str, key: Path) -> Path:
    """Path of an output; dots in the key do not begin a suffix."""
    folder, suffix = FILES[kind]
    return out / folder / key.with_name(key.name + suffix)


def is_no_older(path: Path, origin: Path) -> bool:
    """Whether a file exists and is no older than the file it is made from."""
    try:
        return path.stat().st_mtime_ns >= origin.stat().st_mtime_ns
    except OSError:
        return False


def file_key(source: Source) -> str:
    """Identifies an input file by its place: the beginning of the provenance of its label maps."""
    place = os.fsencode(source.path.resolve()) if source.remote is None else source.remote.url.encode()
    return hashlib.sha256(place).hexdigest()[:16]


def file_version(source: Source) -> str:
    """Identifies an input file with its content: the beginning of the provenance of its label maps.

    Raises:
        UserError: The file is gone.
    """
    if source.remote is not None:
        return f"{file_key(source)} {source.remote.size} {source.remote.version}"
    try:
        stat = source.path.stat()
    except OSError as error:
        raise UserError(f"{source.path}: {error.strerror}") from error
    return f"{file_key(source)} {stat.st_size} {stat.st_mtime_ns}"


def remove_former(out: Path, source: Source, keys: Set[Path]) -> None:
    """Remove outputs of pages or frames that a file no longer has, found by the provenance of their label maps.

    Args:
        out: Folder of all outputs.
        source: Input file.
        keys: Keys of the images that the file has now.
    """
    if not source.is_video and not source.is_tiff:
        return
    numbered = (source.key / path.stem for path in (out / source.key).glob("*.png") if path.stem.isdigit())
    for key in {source.key, *numbered} - keys:
        if (provenance_of(output_path(out, LABELS, key)) or "").startswith(file_key(source)):
            # the label map last: a run that is stopped here removes the rest when it is repeated
            remove_further(out, source, key)
            _remove(out, output_path(out, LABELS, key))


def remove_further(out: Path, source: Source, key: Path) -> None:
    """Remove what was made from the label map of an image, and of its video.

    Args:
        out: Folder of all outputs.
        source: Input file.
        key: Key of the image.
    """
    for kind in sorted(FILES.keys() - {LABELS, "video"}):
        _remove(out, output_path(out, kind, key))
    if source.is_video:
        _remove(out, output_path(out, "video", source.key))


def remove_tables(out: Path) -> None:
    """Remove tables that `predict` has written: they are no longer those of the label maps."""
    for kind, name in TABLES.items():
        if begins_as_table(kind, head_of(out / name) or b""):
            _remove(out, out / name)


def _remove(out: Path, path: Path) -> None:
    if path.parent.resolve().is_relative_to(out.resolve()) and not path.is_dir():
        path.unlink(missing_ok=True)


def head_of(path: Path) -> bytes | None:
    """The first bytes of a file; None if nothing is there."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def begins_as_table(kind: str, head: bytes) -> bool:
    """Whether the first bytes of a file are those of a table that `predict` writes."""
    return head.startswith(BEGINNINGS[kind])


def writers(kinds: Sequence[str], predictor: Predictor) -> dict[str, Writer]:
    """Functions that write the kinds with one file for each image, beside its label map.

    Raises:
        UserError: The model's classes are not those of the benchmark.
    """
    found: dict[str, Writer] = {}
    if "overlay" in kinds:
        found["overlay"] = partial(write_overlay, predictor.palette, predictor.card.pixels)
    if "probabilities" in kinds:
        found["probabilities"] = partial(_write_probabilities, predictor)
    for kind, ids_of in (("cityscapes", cityscapes_ids), ("ade", ade_ids)):
        if kind in kinds:
            found[kind] = partial(_write_ids, ids_of(predictor.class_names))
    return found


def _write_probabilities(predictor: Predictor, path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    assert pixels is not None
    if not isinstance(pixels, np.ndarray):
        height, width = pixels.shape[:2]
        total = 2 * len(predictor.class_names) * height * width / 1e9
        raise UserError(
            f"--save probabilities: the image is so large that it is read by windows, and those of {height} x {width} "
            f"pixels x {len(predictor.class_names)} classes take {total:.1f} GB: cut it into smaller images"
        )
    probabilities = predictor.probabilities(pixels)
    with atomic_path(path) as part:
        np.savez_compressed(part, probabilities=probabilities.astype(np.float16))


def _write_ids(ids: NDArray[np.uint8], path: Path, pixels: Pixels | None, labels: LabelMap) -> None:
    write_ids(path, labels, ids)
