"""Files that divide images into splits: lists such as `train.txt`, and tables with a column that names the split."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight.data.image_lists import read_list, selected
from seglight.data.layouts.layout import WITHOUT_SPLIT
from seglight.data.layouts.split_names import split_of
from seglight.errors import UserError

FOLDERS = ("ImageSets/Segmentation", "ImageSets", "splits", "split", "lists", "list", "Segmentation", ".")
"""Folders below the root where lists are looked for, in this order."""

ORDER = ("train", "val", "test", WITHOUT_SPLIT)

NAMES = {"train.txt", "val.txt", "test.txt"}
"""Names of lists that `data.lists` reads."""

IMAGE_COLUMNS = ("image", "images", "image_path", "img", "img_path", "filename", "file_name", "file", "image_id")
MASK_COLUMNS = ("mask", "masks", "mask_path", "label", "label_path", "annotation", "gt", "segmentation")
SPLIT_COLUMNS = ("split", "subset", "set", "partition", "phase")


@dataclass(frozen=True)
class Splits:
    """Images of splits by files that name them.

    Args:
        evidence: File or folder that names them.
        images: Images by split; `WITHOUT_SPLIT` if a file names images without a split.
        folder: Folder with `train.txt` and others that `data.lists` can read; None: there is none of these names.
        remarks: What was left out.
    """

    evidence: Path
    images: Mapping[str, Sequence[Path]]
    folder: Path | None = None
    remarks: Sequence[str] = ()

    @property
    def foreign(self) -> bool:
        """Whether lists have to be written, because the splits are in files of another form."""
        return self.folder is None and WITHOUT_SPLIT not in self.images


def split_files(root: Path, masks: Mapping[Path, Path]) -> Splits | None:
    """Splits by lists or a table; None if there are no such files.

    Args:
        root: Folder of the data set.
        masks: Mask of each image, whether it exists or not.

    Raises:
        UserError: A line names no image or one of several, or a split has no labelled image.
    """
    for folder in FOLDERS:
        found = _lists(root / folder)
        if found:
            return _of_lists(root, root / folder, found, masks)
    for path in sorted(root.glob("*.csv")):
        splits = _of_table(root, path, masks)
        if splits is not None:
            return splits
    return None


def _lists(folder: Path) -> dict[str, Path]:
    """Lists of a folder by split."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.txt"), key=lambda path: path.name not in NAMES):
        split = split_of(path.stem) if path.stem.casefold() != "trainval" else None
        if path.stem == "default" and folder.name == "Segmentation":
            split = WITHOUT_SPLIT
        if split is not None:
            found.setdefault(split, path)
    return found if {"train", WITHOUT_SPLIT} & found.keys() else {}


def _of_lists(root: Path, folder: Path, lists: Mapping[str, Path], masks: Mapping[Path, Path]) -> Splits:
    images: dict[str, list[Path]] = {}
    known: set[Path] = set()
    remarks: list[str] = []
    for split, path in sorted(lists.items(), key=lambda item: ORDER.index(item[0])):
        named = selected(read_list(path), list(masks), root, path)
        known.update(named)
        if split == "test" and not any(masks[image].is_file() for image in named):
            remarks.append(f"Left out: the images of {path.name} ({len(named)}), which have no masks.")
            continue
        images[split] = list(dict.fromkeys(named))
    if len(known) < len(masks):
        remarks.append(f"Left out: images that are in none of the lists ({len(masks) - len(known)} of {len(masks)}).")
    readable = all(path.name in NAMES for path in lists.values())
    return Splits(folder, images, folder if readable else None, remarks)


def _of_table(root: Path, path: Path, masks: Mapping[Path, Path]) -> Splits | None:
    rows = _rows(path)
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    image_column, mask_column, split_column = (
        next((header.index(title) for title in titles if title in header), None)
        for titles in (IMAGE_COLUMNS, MASK_COLUMNS, SPLIT_COLUMNS)
    )
    if image_column is None or split_column is None:
        return None
    images = defaultdict[str, list[Path]](list)
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise UserError(f"{path}: line {number} has {len(row)} columns, the first line {len(header)}: correct it")
        split = split_of(row[split_column])
        if split is None:
            raise UserError(f"{path}: line {number}: the split {row[split_column]!r} is none of train, val and test")
        (image,) = selected([row[image_column].strip()], list(masks), root, path)
        if mask_column is not None:
            selected([row[mask_column].strip()], [masks[image]], root, path)
        images[split].append(image)
    return Splits(path, dict(images))


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file, skipinitialspace=True) if row]
    except (UnicodeDecodeError, csv.Error):
        return []
