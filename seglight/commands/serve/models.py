"""Models of a server: their names, and copies of their files that stay as they were loaded."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seglight.checkpoints.model_card import ModelCard
from seglight.checkpoints.model_files import DESCRIPTION, model_files
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError
from seglight.images.types import Color
from seglight.system.checksums import file_sha256
from seglight.system.run_files import BEST, CHECKPOINTS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name of a model, which is a part of addresses."""

LOADING = "the models are still being loaded: repeat the request later"
RETRY_S = 1.0
"""Reason why a request is refused before the models are loaded, and seconds after which it may be repeated."""

Fingerprint = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file of a model."""


@dataclass(frozen=True)
class ServedModel:
    """A model that a server has loaded.

    Attributes:
        name: Name in requests.
        path: Path that it was loaded from, which is not for clients.
        card: Model card.
        version: First 12 digits of the SHA-256 of its file, or of a release's description.
        size: The only size (H, W) of images that it takes; None: any size.
        has_probabilities: Whether it has probabilities beside labels.
        ready: Whether a process has it loaded now.
    """

    name: str
    path: str
    card: ModelCard
    version: str
    size: tuple[int, int] | None
    has_probabilities: bool
    ready: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class index."""
        return self.card.class_names

    @property
    def palette(self) -> tuple[Color, ...]:
        """RGB colours of the classes, by class index."""
        return self.card.palette


def served(models: Mapping[str, ServedModel], name: str | None) -> ServedModel:
    """The model that a request names.

    Args:
        models: Models of the server by name, the default first; none until they are loaded.
        name: Name in the request; None: the default.

    Raises:
        Refused: There is no such model, or none yet.
    """
    if not models:
        raise Refused(503, LOADING, RETRY_S)
    found = next(iter(models.values())) if name is None else models.get(name)
    if found is None:
        raise Refused(404, f"there is no such model: the models are {', '.join(models)}")
    return found


class Answered(NamedTuple):
    """An answer, the model that it is of, and the size (H, W) of the image."""

    content: bytes
    model: ServedModel
    size: tuple[int, int]


@dataclass(frozen=True)
class Copy:
    """A copy of a model's files: a process that starts again loads what the others have, whatever the files are now.

    Attributes:
        folder: Folder of the copy.
        path: Path of the copy, with the file's name, or the folder of a release.
        version: First 12 digits of the SHA-256 of its first file.
        fingerprint: That of the files that were copied.
    """

    folder: Path
    path: Path
    version: str
    fingerprint: Fingerprint


def named_models(texts: Sequence[str]) -> dict[str, Path]:
    """Paths of models by their names, in order.

    A model is `NAME=PATH`, or a path alone: the name is then that of the file without its suffix, of the released
    folder, or of the run folder that the checkpoint lies in. A run folder stands for its best checkpoint.

    Args:
        texts: Models, as they are given on the command line.

    Raises:
        UserError: There is no such file, two models have the same name, or one can't be part of an address.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, path = _named(text)
        if not NAME.fullmatch(name):
            raise UserError(
                f"{text}: the name of a model, '{name}', is a part of addresses, made of letters, digits, '.', '_' and "
                f"'-', at most 100 of them: name it, as in NAME={path}"
            )
        if name in found:
            raise UserError(f"{found[name]} and {path} are both named '{name}': name one of them, as in NAME={path}")
        found[name] = path
    return found


def _named(text: str) -> tuple[str, Path]:
    """Name and path of a model; a path may contain an equals sign itself."""
    name, equals, place = text.partition("=")
    alone = not equals or os.path.exists(text)
    if alone:
        place = text
    if not place or not os.path.exists(place):
        raise UserError(f"{place or text}: no such checkpoint, released folder or exported file: check the path")
    path = Path(place)
    best = path / CHECKPOINTS / BEST
    if best.is_file() and not (path / DESCRIPTION).is_file():
        path = best
    elif path.is_dir() and not (path / DESCRIPTION).is_file():
        raise UserError(
            f"{path}: the folder has neither {CHECKPOINTS}/{BEST} nor {DESCRIPTION}: give a checkpoint, a run folder "
            "with its best one, a released folder or an exported file"
        )
    return _own_name(path.absolute()) if alone else name, path


def _own_name(path: Path) -> str:
    if path.is_dir():
        return path.name
    return path.parent.parent.name if path.parent.name == CHECKPOINTS else path.stem


def fingerprint(model: Path) -> Fingerprint | None:
    """What changes when a file of a model is replaced; None if one is missing."""
    try:
        stats = [path.stat() for path in model_files(model)]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)


def copied(model: Path, folder: Path) -> Copy:
    """Copy the files of a model.

    Args:
        model: A checkpoint, released folder or exported file.
        folder: Folder of the copy, which is made.

    Raises:
        UserError: A file is missing, changes meanwhile, or the disk is full.
    """
    before = fingerprint(model)
    files = model_files(model)
    try:
        folder.mkdir(parents=True)
        copies = [folder / path.name for path in files]
        for path, copy in zip(files, copies, strict=True):
            shutil.copyfile(path, copy)
        version = file_sha256(copies[0])[:12]
    except OSError as error:
        raise UserError(
            f"{error.filename or model}: {error.strerror}: check the file, and that there is space"
        ) from error
    if before is None or fingerprint(model) != before:
        raise UserError(f"{model}: it changes while it is read: try again when it is written")
    return Copy(folder, folder if model.is_dir() else copies[0], version, before)
