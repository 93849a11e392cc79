"""Looks for the files of a data set by their names: files of a kind, splits in names, and folders of images."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from seglight.data.layouts import split_names
from seglight.data.pairs import IMAGE_SUFFIXES

SAMPLE = 20
"""Number of files of one folder that are looked at before its form is known."""

HEAD = 1 << 18
"""Bytes of the beginning of a file that are enough to know its form."""

MOST_FOLDERS = 2000
"""Number of folders in which files are looked for."""


def split_of(path: Path, root: Path) -> str | None:
    """The split that the last part of a path below root with a split in its name names."""
    for part in reversed(path.relative_to(root).parts):
        split = split_names.split_of(Path(part).stem)
        if split is not None:
            return split
    return None


def folders_below(root: Path, depth: int) -> list[Path]:
    """The folder and those below it, level by level, without hidden ones; at most MOST_FOLDERS."""
    found = [root]
    level = [root]
    for _ in range(depth):
        level = [child for folder in level for child in _children(folder)]
        found += level
        if len(found) > MOST_FOLDERS:
            return found[:MOST_FOLDERS]
    return found


def _children(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def files_of(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder with one of these suffixes in lower case, by name, without hidden ones."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not _hidden(entry.name)]
    return [
        path for name in sorted(names) if name.lower().endswith(tuple(suffixes)) and (path := folder / name).is_file()
    ]


def head(path: Path, length: int = HEAD) -> str:
    """The beginning of a text file.

    Args:
        path: Path of the file.
        length: Number of bytes.
    """
    with path.open("rb") as file:
        return file.read(length).decode("utf-8", "replace").lstrip("\ufeff \r\n\t")


def images_of(folder: Path) -> list[Path]:
    """Images of a folder by name."""
    return files_of(folder, IMAGE_SUFFIXES)


def counted(files: Sequence[Path | str], most: int = 3) -> str:
    """The first names of a list, and the number of the rest, for messages."""
    shown = ", ".join(str(file) for file in files[:most])
    return shown + (f" and {len(files) - most} more" if len(files) > most else "")


def walk_of(root: Path, depth: int, suffixes: Sequence[str]) -> Iterator[tuple[Path, list[Path]]]:
    """Folders that contain files of these suffixes, and these files."""
    for folder in folders_below(root, depth):
        files = files_of(folder, suffixes)
        if files:
            yield folder, files
