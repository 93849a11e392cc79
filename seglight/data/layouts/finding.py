"""Looks for the files of a data set by their names: files of a kind, splits in names, and folders of images."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from seglight.data.pairs import IMAGE_SUFFIXES

SPLIT_NAMES: Mapping[str, str] = {
    "train": "train", "training": "train", "tr": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Split by its name in folders and files."""

SAMPLE = 20
"""Number of files of one folder that are looked at before its form is known."""

HEAD = 1 << 18
"""Bytes of the beginning of a file that are enough to know its form."""

MOST_FOLDERS = 2000
"""Number of folders in which files are looked for."""


def split_in(name: str) -> str | None:
    """The split that a name contains as a word, as "instances_val2017" does; None: none, or several."""
    words = re.findall(r"[a-z]+", name.lower())
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def split_of(path: Path, root: Path) -> str | None:
    """The split that the last part of a path below root with a split in its name names."""
    parts = path.relative_to(root).parts
    return next((split for part in reversed(parts) if (split := split_in(Path(part).stem)) is not None), None)


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


def head(path: Path) -> str:
    """The beginning of a text file."""
    with path.open("rb") as file:
        return file.read(HEAD).decode("utf-8", "replace").lstrip("\ufeff \r\n\t")


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
