"""Data sets of Hugging Face in Parquet: a column of images, and one of label maps, as encoded files.

    root/data/train-00000-of-00002.parquet  root/data/validation-00000-of-00001.parquet  root/id2label.json

`id2label.json` names the classes by their value in the label maps; 255 is ignored, or 65535 where there are more than
255 classes. Row groups are read one after another, so that memory is needed for one of them only.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from seglight.data.classes import Classes, voc_color
from seglight.data.layouts import finding
from seglight.data.layouts.json_file import read_json
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.split_names import by_split
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError, one_line
from seglight.images.image_header import DAMAGE
from seglight.images.types import LabelMap
from seglight.ops.label_types import IGNORE_INDEX, MOST_CLASSES, ignore_index_of, label_type

ID2LABEL = "id2label.json"
DEPTH = 3

IMAGES = ("image", "img", "pixel_values", "photo")
LABELS = ("label", "labels", "mask", "annotation", "segmentation", "segmentation_mask", "semantic_mask", "seg_map")
"""Names of the columns, in lower case."""

UNKNOWN = 2**16 - 2
"""Entry of a table for values without a name."""

JPEG = b"\xff\xd8"
SUFFIXES = ((b"\x89PNG", ".png"), (JPEG, ".jpg"), (b"RIFF", ".webp"), (b"BM", ".bmp"), (b"II", ".tif"))
"""Suffix of an image without a name, by the beginning of its file."""


class Cell(NamedTuple):
    """Place of an image.

    Args:
        path: Parquet file.
        group: Row group.
        row: Row in the group.
    """

    path: Path
    group: int
    row: int


class Columns(NamedTuple):
    """Names of the columns of images and of label maps."""

    image: str
    label: str


@dataclass(frozen=True)
class Images:
    """Reads the files of images.

    Args:
        cells: Place of each image.
        columns: Names of the columns.
    """

    cells: Mapping[Path, Cell]
    columns: Columns

    def __call__(self, image: Path) -> bytes:
        """Bytes of an image's file."""
        return _bytes(self.cells[image], self.columns, self.columns.image)


@dataclass(frozen=True)
class ParquetLabels:
    """Reads label maps.

    Args:
        cells: Place of each image.
        columns: Names of the columns.
        values: Class index of each value in the label maps.
    """

    cells: Mapping[Path, Cell]
    columns: Columns
    values: Mapping[int, int]

    def __call__(self, image: Path) -> LabelMap:
        """Read the label map (H, W) of an image.

        Raises:
            UserError: It is damaged, in colour, or has a value that is no class.
        """
        data = _bytes(self.cells[image], self.columns, self.columns.label)
        if data.startswith(JPEG):
            raise UserError(f"{image}: its label map is a JPEG, whose values are not exact: save it as PNG")
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "BMP", "WEBP", "GIF")) as opened:
                if opened.mode not in ("1", "L", "P", "I", "I;16"):
                    raise UserError(
                        f"{image}: its label map is a colour image (mode {opened.mode}) where one value per pixel is "
                        "expected: save the data set with index label maps"
                    )
                raw = np.asarray(opened).astype(np.int64)
        except DAMAGE as error:
            raise UserError(
                f"{image}: its label map is damaged, or no image ({one_line(error)}): save the data set again"
            ) from error
        ignored = ignore_index_of(len(self.values))
        table = np.full(2**16 + 1, UNKNOWN, np.uint16)
        table[ignored] = ignored
        table[list(self.values)] = list(self.values.values())
        mask: LabelMap = table.take(np.where(raw < 0, 2**16, raw), mode="clip")
        unknown = raw[mask == UNKNOWN]
        if unknown.size:
            number = np.count_nonzero(unknown == unknown[0])
            raise UserError(
                f"{image}: its label map has the value {unknown[0]} ({number} pixels), which {ID2LABEL} does not name: "
                "add it there"
            )
        return mask.astype(label_type(len(self.values)))


def recognise_huggingface(root: Path, choices: Choices) -> Layout | None:
    """Recognise Parquet files with images and label maps.

    Args:
        root: Folder of the data set.
        choices: Not used.

    Raises:
        UserError: pyarrow is not installed, the files are damaged, or the classes are not named.
    """
    files = [path for _, paths in finding.walk_of(root, DEPTH, [".parquet"]) for path in paths]
    if not files:
        return None
    columns = _columns(files[0])
    if columns is None:
        return None
    classes, values = _classes(root, files[0])
    cells: dict[Path, Cell] = {}
    pairs: list[tuple[str | None, Path]] = []
    for path in files:
        if _columns(path) != columns:
            raise UserError(f"{path}: it has other columns than {files[0]}: keep the files of one data set there")
        for image, cell in _cells(path, columns):
            cells[image] = cell
            pairs.append((finding.split_of(path, root), image))
    splits, remarks = by_split(pairs)
    remarks.append(f"The images are stored in {len(files)} Parquet files.")
    labels = ParquetLabels(cells, columns, values)
    return Layout(
        "Hugging Face Parquet", files[0], classes, splits, labels, remarks, image_bytes=Images(cells, columns)
    )


def _opened(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet files needs pyarrow: run `pip install 'seglight[parquet]'`") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors, too
        raise _damaged(path, error) from error


def _columns(path: Path) -> Columns | None:
    """Columns of encoded files; None: there are no images in it."""
    if not _has_files(path):
        return None
    with _opened(path) as file:
        names = [field.name for field in file.schema_arrow if _fields(field.type) >= {"bytes", "path"}]
    images = [name for known in IMAGES for name in names if name.lower() == known]
    labels = [name for known in LABELS for name in names if name.lower() == known]
    if not images:
        return None
    if not labels:
        raise UserError(
            f"{path}: no column of label maps beside {images[0]!r} (columns of images: {', '.join(names)}): "
            f"name it {LABELS[0]!r}"
        )
    return Columns(images[0], labels[0])


def _has_files(path: Path) -> bool:
    """Whether the names of the columns, at the end of a file, are those of files, without pyarrow."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        end = file.read()
        if size < 12 or not end.endswith(b"PAR1"):
            raise UserError(f"{path}: not a whole Parquet file: download it again")
        file.seek(max(0, size - 8 - int.from_bytes(end[:4], "little")))
        names = file.read()
    return b"bytes" in names and b"path" in names


def _fields(kind: Any) -> set[str]:
    """Names of the fields of a struct; none for other types."""
    return {kind.field(index).name for index in range(kind.num_fields)} if str(kind).startswith("struct") else set()


def _cells(path: Path, columns: Columns) -> Iterable[tuple[Path, Cell]]:
    """Name and place of each image: its own name below the Parquet file, and its row where names are used twice."""
    names: list[tuple[str, Cell]] = []
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            table = _read(path, file, group, [f"{columns.image}.path"])
            for row, value in enumerate(table.column(0).to_pylist()):
                names.append((_name(value), Cell(path, group, row)))
    numbers = Counter(name for name, _ in names)
    for index, (name, cell) in enumerate(names):
        if not name:
            start = _bytes(cell, columns, columns.image)[:4]
            suffix = next((suffix for magic, suffix in SUFFIXES if start.startswith(magic)), ".png")
            yield path / f"{index:06d}{suffix}", cell
        else:
            yield (path / name if numbers[name] == 1 else path / f"{index:06d}" / name), cell


def _name(value: Any) -> str:
    """Name of an image by the `path` of its file; "": it has none."""
    given = (value or {}).get("path") if isinstance(value, dict) else value
    name = PurePosixPath(str(given or "").replace("\\", "/")).name
    return name if name.lower().endswith(IMAGE_SUFFIXES) else ""


def _bytes(cell: Cell, columns: Columns, column: str) -> bytes:
    value = _group(cell.path, cell.group, columns)[column][cell.row].as_py()
    data = value["bytes"] if value else None
    if not data:
        raise UserError(
            f"{cell.path}: row {cell.row} of row group {cell.group} has no bytes in the column {column!r}: "
            "save the data set with its images (`push_to_hub` or `to_parquet` with embedded files)"
        )
    return bytes(data)


@lru_cache(maxsize=1)
def _group(path: Path, group: int, columns: Columns) -> Any:
    with _opened(path) as file:
        return _read(path, file, group, list(columns))


def _read(path: Path, file: Any, group: int, columns: Sequence[str]) -> Any:
    try:
        return file.read_row_group(group, columns=columns)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not readable as Parquet ({one_line(error)}): download it again")


def _classes(root: Path, evidence: Path) -> tuple[Classes, dict[int, int]]:
    path = root / ID2LABEL
    if not path.is_file():
        raise UserError(
            f"{root}: no {ID2LABEL} beside the Parquet files: write the names of the classes there, by value: "
            '{"0": "background", "1": "car"}'
        )
    table = read_json(path)
    try:
        names = {int(value): str(name) for value, name in table.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f'{path}: not of the form {{"0": "background", "1": "car"}} ({one_line(error)}): correct it'
        ) from error
    ignored = ignore_index_of(len(names) - (IGNORE_INDEX in names))
    kept = sorted(value for value in names if value != ignored)
    repeated = [name for name, number in Counter(names[value] for value in kept).items() if number > 1]
    if repeated or not 2 <= len(kept) <= MOST_CLASSES or kept[0] < 0 or kept[-1] >= 2**16:
        what = f"the name {repeated[0]!r} is used twice" if repeated else f"{len(kept)} classes"
        raise UserError(f"{path}: {what}: name 2 to {MOST_CLASSES} classes by their value, each name once")
    palette: Sequence[tuple[int, int, int]] = [voc_color(index) for index in range(len(kept))]
    return Classes(tuple(names[value] for value in kept), tuple(palette)), {
        value: index for index, value in enumerate(kept)
    }
