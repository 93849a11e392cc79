"""Nets that judge each part of the training split held out: each is trained on all others, in a process of its own.

    OUT/folds/1/lists/{train,val}.txt   images that net 1 is trained on, and those that it judges
    OUT/folds/1/run                     its run folder

A training that was interrupted is resumed, and one that is finished is not repeated.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.sequences import divided_within
from seglight.errors import UserError, say
from seglight.interfaces import Labelled
from seglight.system.atomic import atomic_write
from seglight.system.run_files import CHECKPOINTS, LAST
from seglight.system.safe_recipe import safe_option
from seglight.system.signals import EXIT_CODE, ForwardedSignals

FOLDER = "folds"
FIT = [sys.executable, "-m", "seglight", "fit"]


@dataclass(frozen=True)
class Fold:
    """A part of the training split and the net that judges it.

    Args:
        indices: Indices of its images in the training split.
        lists: Folder of the lists.
        run: Run folder of the net.
    """

    indices: Sequence[int]
    lists: Path
    run: Path

    @property
    def checkpoint(self) -> str:
        """The last checkpoint: the best one is chosen by the labels that it has to judge."""
        return str(self.run / CHECKPOINTS / LAST)


def files_of(datamodule: SegmentationDataModule) -> FileDataModule:
    """The data module, if lists select its images.

    Raises:
        UserError: It takes no lists.
    """
    if not isinstance(datamodule, FileDataModule) or type(datamodule).split is not FileDataModule.split:
        raise UserError(
            f"--folds: {type(datamodule).__name__} takes no lists of images, by which each net is trained on another "
            "part: train the nets yourself, and give each of them with --model"
        )
    return datamodule


def folds_of(datamodule: FileDataModule, split: Labelled, number: int, out: Path) -> tuple[list[Fold], str]:
    """Divide the training split and write the lists.

    Each part has a block of every sequence: a net knows the places and the weather that it judges, but not the frame
    before, which may have the same errors.

    Args:
        datamodule: The data set.
        split: Its training split.
        number: Number of folds, K.
        out: Folder of the report.

    Returns:
        The folds, and how the images were divided.

    Raises:
        UserError: There are fewer images than folds, lists of other folds are there, or a name can't be listed.
    """
    names = [Path(os.path.relpath(split.sources(index)[0], datamodule.root)).as_posix() for index in range(len(split))]
    broken = next((name for name in names if {*name} & {"\n", "\r"}), None)
    if broken is not None:
        raise UserError(f"{broken!r}: no list can contain the line break in this name: rename the file")
    parts = divided_within(names, number)
    folds = [
        Fold(part, out / FOLDER / str(place) / "lists", out / FOLDER / str(place) / "run")
        for place, part in enumerate(parts.parts, 1)
    ]
    if (out / FOLDER / str(number + 1)).exists():
        raise UserError(f"{out / FOLDER}: it holds more than {number} folds: give their number, or another --out")
    for fold in folds:
        inside = set(fold.indices)
        _write(fold.lists / "train.txt", [name for index, name in enumerate(names) if index not in inside])
        _write(fold.lists / "val.txt", [names[index] for index in fold.indices])
    return folds, parts.how


def _write(path: Path, names: Sequence[str]) -> None:
    text = "".join(f"{name}\n" for name in names)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise UserError(f"{path}: it is of other folds or other images: give another --out")
    atomic_write(path, text)


def train(folds: Sequence[Fold], recipe: Sequence[str], cached: bool) -> int:
    """Train the nets, one after the other.

    Args:
        folds: The folds.
        recipe: Options of `fit` that select recipe and data.
        cached: Whether the recipe names a cache, which does not belong to the parts of the split.

    Returns:
        0, or the exit code of the first training that failed or was stopped.
    """
    signals = ForwardedSignals()
    uncached = ["--data.cache", "null"] if cached else []
    with signals:
        for number, fold in enumerate(folds, 1):
            say(f"net {number} of {len(folds)}: {fold.run}")
            own = ["--data.lists", str(fold.lists), *uncached, "--run_dir", str(fold.run), "--resume"]
            process = subprocess.Popen([*FIT, *safe_option(), *recipe, *own], start_new_session=True)
            signals.add(process)
            code = process.wait()
            signals.remove(process)
            if code or signals.received:
                return code if code > 0 else EXIT_CODE
    return 0
