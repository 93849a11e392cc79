"""Files that divide images into splits: lists such as `train.txt`, and tables with a column that names the split."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight.data.image_lists import read_list, refuse_other_masks, selected
from seglight.data.layouts.layout import WITHOUT_SPLIT
from seglight.data.layouts.split_names import split_of
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError

FOLDERS = ("ImageSets/Segmentation", "ImageSets", "splits", "split", "lists", "list", "Segmentation", ".")
"""Folders below the root where lists are looked for, in this order."""

ORDER = ("train", "val", "test", WITHOUT_SPLIT)

NAMES = {"train.txt", "val.txt", "test.txt"}
"""Names of lists that `data.lists` reads."""

IMAGE_COLUMNS = (
    "image", "images", "image_path", "img", "img_path", "filename", "file_name", "file", "image_id", "path", "filepath",
)  # fmt: skip
MASK_COLUMNS = (
    "mask", "masks", "mask_path", "label_path", "annotation", "gt", "segmentation", "target", "mask_id", "label",
)  # fmt: skip
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
        whole = path.stem.casefold() == "trainval" or (path.stem == "default" and folder.name == "Segmentation")
        split = WITHOUT_SPLIT if whole else split_of(path.stem)
        if split is not None:
            found.setdefault(split, path)
    if "train" in found:
        found.pop(WITHOUT_SPLIT, None)
    return found if {"train", WITHOUT_SPLIT} & found.keys() else {}


def _of_lists(root: Path, folder: Path, lists: Mapping[str, Path], masks: Mapping[Path, Path]) -> Splits:
    images: dict[str, list[Path]] = {}
    known: set[Path] = set()
    remarks: list[str] = []
    for split, path in sorted(lists.items(), key=lambda item: ORDER.index(item[0])):
        lines = read_list(path)
        named = selected(lines, list(masks), root, path)
        refuse_other_masks(lines, named, masks, root, path)
        known.update(named)
        if split == "test" and not any(masks[image].is_file() for image in named):
            remarks.append(f"Left out: the images of {path.name} ({len(named)}), which have no masks.")
            continue
        images[split] = list(dict.fromkeys(named))
    if len(known) < len(masks):
        remarks.append(f"Left out: images that are in none of the lists ({len(masks) - len(known)} of {len(masks)}).")
    readable = all(path.name in NAMES for path in lists.values())
    return Splits(folder, images, folder if readable else None, remarks)


@dataclass(frozen=True)
class Table:
    """A table of images.

    Args:
        path: Its file.
        images: Cells of the column of images.
        masks: Cells of the column of masks; empty: it has none.
        splits: Split of each line; empty: it has no column of splits.
    """

    path: Path
    images: Sequence[str]
    masks: Sequence[str]
    splits: Sequence[str]


def read_table(path: Path) -> Table | None:
    """Read a table of images; None if a file has no column of images beside one of masks or splits.

    Raises:
        UserError: A line has too few or too many cells, or names no split.
    """
    rows = _with_header(_rows(path))
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    images, masks, splits = (
        next((header.index(title) for title in titles if title in header), None)
        for titles in (IMAGE_COLUMNS, MASK_COLUMNS, SPLIT_COLUMNS)
    )
    if images is None or (masks is None and splits is None) or len(rows) < 2:
        return None
    names: list[str] = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise UserError(f"{path}: line {number} has {len(row)} columns, the first line {len(header)}: correct it")
        if splits is None:
            continue
        split = split_of(row[splits])
        if split is None:
            raise UserError(f"{path}: line {number}: the split {row[splits]!r} is none of train, val and test")
        names.append(split)
    of_masks = [] if masks is None else [row[masks].strip() for row in rows[1:]]
    return Table(path, [row[images].strip() for row in rows[1:]], of_masks, names)


def _with_header(rows: list[list[str]]) -> list[list[str]]:
    """Rows below a header: a table of files without one gets it from the first two columns with names of files."""
    first = rows[0] if rows else []
    files = [k for k, cell in enumerate(first) if Path(cell.strip()).suffix.lower() in IMAGE_SUFFIXES]
    if len(files) < 2:
        return rows
    titles = {files[0]: IMAGE_COLUMNS[0], files[1]: MASK_COLUMNS[0]}
    titles |= {k: SPLIT_COLUMNS[0] for k, cell in enumerate(first) if k not in titles and split_of(cell) is not None}
    return [[titles.get(k, "") for k in range(len(first))], *rows]


def _of_table(root: Path, path: Path, masks: Mapping[Path, Path]) -> Splits | None:
    table = read_table(path)
    if table is None or not table.splits:
        return None
    images = defaultdict[str, list[Path]](list)
    for split, image in zip(table.splits, selected(table.images, list(masks), root, path), strict=True):
        images[split].append(image)
    left = len(masks) - len({image for files in images.values() for image in files})
    remarks = [f"Left out: images that are not in {path.name} ({left} of {len(masks)})."] if left else []
    return Splits(path, {split: images[split] for split in ORDER if split in images}, None, remarks)


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            return [row for row in csv.reader(file, delimiter=delimiter, skipinitialspace=True) if row]
    except (UnicodeDecodeError, csv.Error):
        return []
