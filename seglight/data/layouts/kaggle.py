"""Run-length encoded masks in a CSV, as in Kaggle's competitions.

    root/train.csv  root/train_images/*.jpg

    ImageId,ClassId,EncodedPixels
    0002cc93b.jpg,1,29102 12 29346 24

Runs are pairs of a start and a length. Pixels are counted from 1, down the columns. An image can have several rows,
which are painted in their order; a row without runs is an image, or a class of it, without an object. The class can be
a part of the image's name (`ImageId_ClassId`), or missing if there is only one.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.layouts.image_index import ImageIndex, match_images, missing_remark, none_found
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.painting import Patch, Size, background_remarks, class_table, paint
from seglight.data.layouts.split_names import by_split, split_of
from seglight.errors import UserError, one_line
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap

IMAGES = ("imageid", "image", "imagename", "imagefile", "img", "imgid", "filename", "file", "id")
CLASSES = ("classid", "classname", "class", "label", "labels", "category", "categoryid", "celltype")
RUNS = ("encodedpixels", "rle", "rlemask", "maskrle", "encodedmask")
OTHER_RUNS = ("segmentation", "annotation", "mask")
COMBINED = ("imageidclassid", "imageidlabel", "imagelabel", "imageclass", "imageclassid")
"""Names of columns in lower case, without other signs than letters; OTHER_RUNS if there are runs in them."""

ONLY = "object"
"""Name of the class if there is no column of classes."""

EMPTY = ("", "-1", "nan", "none", "null")
"""Texts of rows without runs."""

IS_RUNS = re.compile(r"\s*\d+( +\d+)+\s*")
FIRST_FILES = 20
FIRST_ROWS = 50
LONGEST = 1 << 28
"""Longest text of a row, in characters."""


class Columns(NamedTuple):
    """Columns of a table.

    Args:
        image: Index of the column of images.
        runs: Index of the column of runs.
        label: Index of the column of classes; None: there is none.
        combined: Whether the class is the last part of the image's name.
    """

    image: int
    runs: int
    label: int | None
    combined: bool


class Row(NamedTuple):
    """Runs of a class in an image.

    Args:
        line: Number of the row's line in the file.
        image: Name of the image.
        label: Name of the class.
        runs: Text of the runs; "": none.
    """

    line: int
    image: str
    label: str
    runs: str


@dataclass(frozen=True)
class RunLabels:
    """Paints the label maps of images.

    Args:
        rows: File and rows of each image.
        index_of: Class index of each label.
    """

    rows: Mapping[Path, tuple[Path, Sequence[Row]]]
    index_of: Mapping[str, int]

    def __call__(self, image: Path) -> LabelMap:
        """Paint the label map (H, W) of an image.

        Raises:
            UserError: The runs of a row are not valid.
        """
        path, rows = self.rows[image]
        size = image_size(image)
        patches = (Patch(self.index_of[row.label], _pixels(row, path, size)) for row in rows if row.runs)
        return paint(size, patches, 1 + max(self.index_of.values()))


def recognise_kaggle(root: Path, choices: Choices) -> Layout | None:
    """Recognise tables of run-length encoded masks.

    Args:
        root: Folder of the data set.
        choices: Not used.

    Raises:
        UserError: They are damaged, or no image is there.
    """
    tables = {path: columns for path in sorted(root.glob("*.csv"))[:FIRST_FILES] if (columns := _columns(path))}
    submissions = [path for path in tables if "submission" in path.stem.lower()]
    if len(submissions) < len(tables):
        for path in submissions:
            del tables[path]
    if not tables:
        return None
    index = ImageIndex(root)
    rows_of: dict[Path, tuple[Path, Sequence[Row]]] = {}
    pairs: list[tuple[str | None, Path]] = []
    remarks: list[str] = []
    named: list[str] = []
    for path, columns in tables.items():
        by_name: dict[str, list[Row]] = {}
        for row in _rows(path, columns):
            by_name.setdefault(row.image, []).append(row)
        named += by_name
        found = match_images(index, by_name, path.parent, path)
        remarks += missing_remark(path, len(by_name) - len(found))
        for name, image in found.items():
            if image in rows_of:
                raise UserError(f"{path}: the image {image} is in {rows_of[image][0]}, too: remove it from one of them")
            rows_of[image] = (path, by_name[name])
            pairs.append((split_of(path.stem), image))
    first = next(iter(tables))
    if not rows_of:
        raise none_found(first, len(named), named[0] if named else "", root)
    labels = {row.label for _, rows in rows_of.values() for row in rows}
    classes, index_of = class_table(dict.fromkeys(sorted(labels, key=_numbers_first)), first)
    splits, more = by_split(pairs)
    remarks += [*more, *background_remarks(index_of), *_remarks(index, rows_of, submissions)]
    return Layout("Kaggle run-length CSV", first, classes, splits, RunLabels(rows_of, index_of), remarks)


def _columns(path: Path) -> Columns | None:
    """Columns of a table; None: it is another one."""
    try:
        lines = _lines(path)
        names = [re.sub("[^a-z]", "", name.lower()) for name in next(lines, [])]
        rows = [row for row, _ in zip(lines, range(FIRST_ROWS), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    image, combined = _first(names, IMAGES), _first(names, COMBINED)
    runs = _first(names, RUNS + OTHER_RUNS)
    texts = [row[runs] for row in rows if runs is not None and len(row) > runs]
    if runs is None or (image is None and combined is None):
        return None
    if names[runs] in OTHER_RUNS and not any(map(IS_RUNS.fullmatch, texts)):
        return None
    if not all(IS_RUNS.fullmatch(text) or text.strip().lower() in EMPTY for text in texts):
        return None
    if combined is not None:
        return Columns(combined, runs, None, True)
    assert image is not None
    return Columns(image, runs, _first(names, CLASSES), False)


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _lines(path: Path) -> Iterator[list[str]]:
    before = csv.field_size_limit(LONGEST)  # 131072 characters are less than the runs of a large image
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = ";" if ";" in file.readline() else ","
            file.seek(0)
            yield from csv.reader(file, delimiter=separator)
    finally:
        csv.field_size_limit(before)


def _rows(path: Path, columns: Columns) -> Iterator[Row]:
    lines = _lines(path)
    next(lines)
    try:
        for number, fields in enumerate(lines, start=2):
            if not any(fields):
                continue
            image, runs = fields[columns.image].strip(), fields[columns.runs].strip()
            label = ONLY if columns.label is None else fields[columns.label].strip()
            if columns.combined:
                image, _, label = image.rpartition("_")
            if not image or not label:
                raise UserError(f"{path}: line {number} names no image, or no class: correct it, or remove it")
            yield Row(number, image, label, "" if runs.lower() in EMPTY else runs)
    except (IndexError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a whole table ({type(error).__name__} {error}): download it again") from error


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """Order of classes: 2 before 10, and numbers before names."""
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)


def _remarks(
    index: ImageIndex, rows_of: Mapping[Path, tuple[Path, Sequence[Row]]], submissions: Sequence[Path]
) -> list[str]:
    bare = sum(
        image not in rows_of for folder in {image.parent for image in rows_of} for image in index.by_folder[folder]
    )
    empty = sum(not any(row.runs for row in rows) for _, rows in rows_of.values())
    remarks = [f"Tables of submissions, which are not read: {', '.join(path.name for path in submissions)}."]
    remarks = remarks if submissions else []
    if bare:
        remarks.append(f"Images without a row, which are left out: {bare}.")
    if empty:
        remarks.append(f"Images without runs, which are background: {empty}.")
    return remarks


def _pixels(row: Row, path: Path, size: Size) -> NDArray[np.bool_]:
    """Pixels of the runs of a row: bool (H, W)."""
    height, width = size
    where = f"{path}: line {row.line}: "
    try:
        numbers = np.array(row.runs.split(), np.int64)
    except (OverflowError, ValueError) as error:
        raise UserError(f"{where}runs are pairs of whole numbers ({one_line(error)[:80]}): correct them") from error
    starts, lengths = numbers[::2], numbers[1::2]
    if len(starts) != len(lengths):
        raise UserError(f"{where}{len(numbers)} numbers, where a start and a length make a run: correct them")
    if starts.min() < 1 or lengths.min() < 1:
        raise UserError(f"{where}a start or a length below 1, where pixels are counted from 1: correct them")
    order = np.argsort(starts)
    starts, lengths = starts[order], lengths[order]
    ends = starts + lengths
    if (ends[:-1] > starts[1:]).any():
        first = int(starts[1:][ends[:-1] > starts[1:]][0])
        raise UserError(f"{where}the run from {first} overlaps the one before it: correct them")
    if ends[-1] > height * width + 1 or starts[-1] > height * width:
        raise UserError(
            f"{where}a run reaches pixel {int(ends[-1]) - 1}, but {row.image} has {width}x{height} = {height * width} "
            "pixels: put the image there that was labelled, or correct the run"
        )
    steps = np.zeros(height * width + 1, np.int8)
    np.add.at(steps, starts - 1, 1)
    np.add.at(steps, ends - 1, -1)
    return np.cumsum(steps[:-1], dtype=np.int8).reshape(width, height).T > 0
