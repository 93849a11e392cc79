"""Paths of the splits of a data set, as an argument of a data module."""

from collections.abc import Mapping
from pathlib import Path

from seglight.errors import UserError

BySplit = str | Mapping[str, str]
"""Path below root, in which `{split}` stands for train, val or test, or a path for each of them."""


def path_of(paths: BySplit, split: str, root: Path, argument: str) -> Path:
    """Path of a split.

    Args:
        paths: Paths below root.
        split: "train", "val" or "test".
        root: Folder of the data set.
        argument: Name of the argument.

    Raises:
        UserError: There is none for this split.
    """
    path = paths.replace("{split}", split) if isinstance(paths, str) else paths.get(split)
    if path is None:
        raise UserError(f"data.{argument} names nothing for the {split} split, only for {', '.join(paths)}: add it")
    return root / path


def paths_of(paths: BySplit, root: Path) -> list[Path]:
    """Paths of all splits, that of "val" first, because it is the smallest."""
    named = [split for split in ("val", "train", "test") if isinstance(paths, str) or split in paths]
    return list(dict.fromkeys(path_of(paths, split, root, "") for split in named))
