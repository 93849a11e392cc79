"""Files of a project that belong to its data: class table, lists of images, a converted copy."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seglight.commands.doctor.band_statistics import declaration
from seglight.commands.init.class_cover import classes_in, covering
from seglight.commands.init.measured import Measured
from seglight.data.class_files import CLASS_FILE, class_table
from seglight.data.layouts.convert import convert
from seglight.data.layouts.layout import WITHOUT_SPLIT, Layout
from seglight.data.sequences import divided, validation
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.system.atomic import atomic_write
from seglight.system.checksums import file_sha256

FOLDER = "seglight.data.FolderDataModule"
"""Data module of converted copies."""

COCO = "seglight.data.COCOPolygonsDataModule"
"""Data module that takes the bands as an argument."""

CLASSES, LISTS, DATA = "classes.yaml", "lists", "data"
"""Names in the project's folder."""


@dataclass(frozen=True)
class Splits:
    """Images of each split, and how they were chosen.

    Args:
        files: Images by split.
        folds: Images of the splits of each fold; without folds, nothing.
        listed: Whether lists of the images have to be written.
        remarks: What the user should know about them, one sentence each.
    """

    files: Mapping[str, Sequence[Path]]
    folds: Sequence[Mapping[str, Sequence[Path]]] = ()
    listed: bool = False
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Prepared:
    """How the data of a project are read.

    Args:
        class_path: Import path of the data module.
        init_args: Its arguments.
        in_project: Further arguments that are paths, relative to the project's folder.
        remarks: What the user should know about it, one sentence each.
        comments: Comments on arguments, by their name.
    """

    class_path: str
    init_args: Mapping[str, Any]
    in_project: Mapping[str, str]
    remarks: Sequence[str] = ()
    comments: Mapping[str, str] = field(default_factory=dict)

    def at(self, project: Path) -> dict[str, Any]:
        """Part `data` of a recipe, for a folder of the project."""
        paths = {name: str(project / path) for name, path in self.in_project.items()}
        order = ("root", "classes", "lists")
        arguments = {**paths, **self.init_args}
        return {
            "class_path": self.class_path,
            "init_args": {name: arguments[name] for name in sorted(arguments, key=lambda name: _rank(name, order))},
        }


def _rank(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def splits_of(layout: Layout, root: Path, folds: int | None) -> Splits:
    """Training and validation images: those of the layout, or chosen where it has none, or for folds.

    Args:
        layout: The recognised layout.
        root: Folder of the data set.
        folds: Number of folds, or None.

    Raises:
        UserError: There are too few images.
    """
    given = {name: list(files) for name, files in layout.splits.items() if files}
    test = {"test": given["test"]} if "test" in given and len(given) > 1 else {}
    if folds is None and "train" in given and "val" in given:
        return Splits(given, listed=layout.lists_needed)
    pool = [*given.get("train", []), *given.get("val", []), *given.get(WITHOUT_SPLIT, [])]
    pool = sorted(pool or given.get("test", []))
    if not pool:
        raise UserError(f"{root}: {layout.form}: there is no labelled image in it")
    names = [relative(path, root) for path in pool]
    copies = _copies(pool)
    present = classes_in(layout, pool)
    if folds is None:
        parts = covering(lambda seed: validation(names, copies, seed), present, folds=False)
        train, val = ([pool[index] for index in part] for part in parts.parts)
        remark = (
            f"There is no validation split: {len(val)} of {len(pool)} images are chosen for validation {parts.how}."
        )
        return Splits({"train": train, "val": val, **test}, listed=True, remarks=[remark])
    parts = covering(lambda seed: divided(names, folds, copies, seed), present, folds=True)
    every = []
    for part in parts.parts:
        inside = set(part)
        val = [pool[index] for index in part]
        every.append({"train": [path for index, path in enumerate(pool) if index not in inside], "val": val, **test})
    remark = f"{len(pool)} images are divided into {folds} folds {parts.how}."
    return Splits(every[0], every, listed=True, remarks=[remark])


def _copies(files: Sequence[Path]) -> dict[int, int]:
    """Indices of files with the content of an earlier file, each with the index of that file."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for index, path in enumerate(files):
        if path.is_file():  # else it is the name of an image inside another file
            by_size[path.stat().st_size].append(index)
    found: dict[int, int] = {}
    for indices in by_size.values():
        first: dict[str, int] = {}
        for index in indices if len(indices) > 1 else ():
            earlier = first.setdefault(file_sha256(files[index]), index)
            if earlier != index:
                found[index] = earlier
    return found


def relative(path: Path, root: Path) -> str:
    """Path of an image below the data set's folder, with slashes."""
    return Path(os.path.relpath(path, root)).as_posix()


def prepare(layout: Layout, root: Path, splits: Splits, project: Path, measured: Measured | None = None) -> Prepared:
    """Write class table, lists and converted copy, as far as they are needed.

    Args:
        layout: The recognised layout.
        root: Folder of the data set.
        splits: Images of each split.
        project: Folder of the project, which exists.
        measured: Bands of images that are not 8-bit RGB and whose bands are not declared; None: there are none.

    Raises:
        UserError: The layout can't be converted, or its data module reads 8-bit RGB only.
    """
    bands = RGB if measured is None else measured.bands
    if layout.in_place is None:
        return _converted(layout, splits, project, bands)
    arguments: dict[str, Any] = {"root": str(full_path(root)), **layout.in_place.init_args}
    in_project: dict[str, str] = {}
    comments: dict[str, str] = {}
    table = _with_bands(layout, root, bands, arguments)
    about = "" if measured is None else measured.comment
    if "bands" in arguments:
        comments["bands"] = about
    if table is not None:
        text = yaml.safe_dump(table, default_flow_style=None, sort_keys=False, allow_unicode=True)
        if about and "bands" not in arguments:
            text = f"# {about}\n{declaration(bands)}{text}"
        atomic_write(project / CLASSES, text)
        in_project["classes"] = CLASSES
    if splits.listed:
        in_project["lists"] = _write_lists(splits, project, {path: relative(path, root) for path in _all(splits)})
        comments["lists"] = _comment(splits, layout)
    elif layout.lists is not None:
        arguments["lists"] = str(full_path(layout.lists))
    return Prepared(layout.in_place.class_path, arguments, in_project, splits.remarks, comments)


def _with_bands(layout: Layout, root: Path, bands: Bands, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Class table that is written; bands that a data module takes itself are added to its arguments."""
    assert layout.in_place is not None
    table = None if layout.in_place.class_table is None else dict(layout.in_place.class_table)
    if bands.is_rgb8:
        return table
    if layout.in_place.class_path == COCO:
        arguments["bands"] = bands.to_dict()
        return table
    if table is None and layout.in_place.class_path == FOLDER:  # the folder's own table
        own = Path(arguments.pop("classes", root / CLASS_FILE))
        table = class_table(own)
        table.pop("bands", None)  # an empty key
    if table is None:
        raise UserError(f"{root}: {layout.form}, which is read as 8-bit RGB only, but the images have {bands.line()}")
    return table


def _converted(layout: Layout, splits: Splits, project: Path, bands: Bands) -> Prepared:
    copy = convert(layout, project / DATA, splits.files, bands)
    in_project = {"root": DATA}
    comments = {}
    if splits.folds:
        in_project["lists"] = _write_lists(splits, project, copy.images)
        comments["lists"] = _comment(splits, layout)
    how = "The layout can't be read as it is: a converted copy is in the project's folder `data`."
    return Prepared(FOLDER, {}, in_project, [*splits.remarks, how, *copy.remarks], comments)


def full_path(path: Path) -> Path:
    """The path from the root of the file system: links stay, unless the path also goes up."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _comment(splits: Splits, layout: Layout) -> str:
    """Comment on the lists."""
    if not splits.remarks:
        return f"The splits of {layout.form}, as lists."
    another = f" Another fold: --data.lists PROJECT/{LISTS}/fold_2" if splits.folds else ""
    return " ".join(splits.remarks) + another


def _all(splits: Splits) -> list[Path]:
    parts = [splits.files, *splits.folds]
    return sorted({path for part in parts for files in part.values() for path in files})


def _write_lists(splits: Splits, project: Path, names: Mapping[Path, str]) -> str:
    """Write the lists of the splits, or of each fold; returns the folder of those that are trained on first."""
    broken = next((path for path in _all(splits) if {*names[path]} & {"\n", "\r"}), None)
    if broken is not None:
        raise UserError(f"{str(broken)!r}: no list can contain the line break in this name: rename the file")
    folders = [f"{LISTS}/fold_{number}" for number in range(1, len(splits.folds) + 1)] or [LISTS]
    for folder, files in zip(folders, splits.folds or [splits.files], strict=True):
        for name, paths in files.items():
            atomic_write(project / folder / f"{name}.txt", "".join(f"{names[path]}\n" for path in paths))
    return folders[0]
