"""Names and colours of classes in the files that labelling tools put beside masks.

| file | written by |
| --- | --- |
| `labelmap.txt`, lines `name:r,g,b::` | CVAT, datumaro |
| `_classes.csv`, columns `Pixel Value, Class` | Roboflow |
| `labelmap.csv`, `class_dict.csv`, columns `name,r,g,b` | Kaggle |
| `label_colors.txt`, lines `r g b name` | CamVid |
| `dataset_meta.json` with `label_map` and `segmentation_colors` | datumaro |
| `obj_class_to_machine_color.json`, `{name: [r, g, b]}` | Supervisely |
| `id2label.json`, `{"0": name}` | Hugging Face |
| `class_names.txt`, `classes.txt`, `labels.txt`, one name per line | LabelMe and many others |
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.images.types import Color
from seglight.system.nested import parse_json

FILES = (
    "labelmap.txt", "label_colors.txt", "_classes.csv", "class_dict.csv", "class_dict_seg.csv", "labelmap.csv",
    "dataset_meta.json", "obj_class_to_machine_color.json", "id2label.json", "class_names.txt", "classes.txt",
    "labels.txt",
)  # fmt: skip
"""Names of the files; an earlier one is preferred."""

IGNORED = {"__ignore__", "ignore", "ignored", "void", "unlabeled", "unlabelled"}
"""Names, in lower case, of pixels that are not labelled."""

COLOR_THEN_NAME = re.compile(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\S.*)")
VALUE_THEN_NAME = re.compile(r"(\d+)(?:\s*[:,;]\s*|\s+)(\S.*)")

UNLABELLED = "__ignore__"
"""First name in LabelMe's lists, which has the value -1: 255 in a mask of 8 bits."""

NAME_COLUMNS = ("name", "class", "label", "class_name")
VALUE_COLUMNS = ("pixel value", "pixel_value", "value", "id", "index", "class_id", "label_id")
COLOR_COLUMNS = (("r", "g", "b"), ("red", "green", "blue"))


@dataclass(frozen=True)
class ClassNames:
    """Names of classes by the value that they have in index masks.

    Args:
        path: File that contains them.
        names: Name by value.
        colors: Colour by value; empty if the file has no colours.
        others: Files that name other classes, and that are not read.
    """

    path: Path
    names: Mapping[int, str]
    colors: Mapping[int, Color] = field(default_factory=dict)
    others: Sequence[Path] = ()

    @property
    def ignored(self) -> set[int]:
        """Values whose name says that they are not labelled."""
        return {value for value, name in self.names.items() if name.casefold() in IGNORED}

    @property
    def labelled(self) -> dict[int, str]:
        """Names of the classes that are not ignored."""
        return {value: name for value, name in self.names.items() if value not in self.ignored}

    @property
    def remarks(self) -> list[str]:
        """Which file names the classes, and which ones are not read."""
        unread = [f"{path.name} names other classes, and is not read." for path in self.others]
        return [f"{self.path.name} names the classes.", *unread]


def class_names(folders: Iterable[Path]) -> ClassNames | None:
    """Names of classes from the first known file in some folders; None if there is none.

    Args:
        folders: Folders to look in.

    Raises:
        UserError: A file can't be read, or files of the same name in two folders differ, or two files number the same
            classes differently.
    """
    places = list(folders)
    chosen: ClassNames | None = None
    others: list[Path] = []
    for name in FILES:
        paths = [folder / name for folder in places if (folder / name).is_file()]
        found = [names for path in paths if (names := _readable(path, optional=chosen is not None)) is not None]
        for other in found[1:]:
            if (other.names, other.colors) != (found[0].names, found[0].colors):
                raise UserError(
                    f"{other.path}: other classes than in {found[0].path}: export all splits from one project"
                )
        if found and chosen is None:
            chosen = found[0]
        elif found and chosen is not None and _differ(chosen, found[0]):
            others.append(found[0].path)
    return None if chosen is None else replace(chosen, others=others)


def _differ(chosen: ClassNames, other: ClassNames) -> bool:
    """Whether two files name different classes.

    Raises:
        UserError: They number the same classes differently, and no colours tell which of the two is right.
    """
    ours, theirs = chosen.labelled, other.labelled
    if ours == theirs:
        return False
    if not chosen.colors and not other.colors and {*ours.values()} == {*theirs.values()}:
        raise UserError(
            f"{other.path}: the classes of {chosen.path.name} in another order: remove the file that is wrong"
        )
    return True


def _readable(path: Path, optional: bool) -> ClassNames | None:
    try:
        return read_class_names(path)
    except UserError:
        if not optional:
            raise
        return None


def read_class_names(path: Path) -> ClassNames:
    """Read a file of one of the forms in the table above.

    Raises:
        UserError: It is of another form, or names a class twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            found = _of_json(parse_json(text), path)
        elif path.suffix == ".csv":
            found = _of_csv([row for row in csv.reader(text.splitlines(), skipinitialspace=True) if row], path)
        else:
            found = _of_lines([line.strip() for line in text.splitlines()], path)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: names of classes could not be read from it ({type(error).__name__} {error}): "
            "export it again, or write a classes.yaml"
        ) from error
    if not found.names or len(set(found.names.values())) < len(found.names):
        raise UserError(f"{path}: {len(found.names)} names of classes, of which each may occur once: correct the file")
    return found


def _of_lines(lines: Sequence[str], path: Path) -> ClassNames:
    kept = [line for line in lines if line and not line.startswith("#")]
    if path.name == "labelmap.txt" and all(":" in line for line in kept):
        fields = [line.split(":") for line in kept]
        colors = {value: _color(parts[1].split(",")) for value, parts in enumerate(fields) if parts[1]}
        return ClassNames(path, {value: parts[0] for value, parts in enumerate(fields)}, colors)
    colored = [COLOR_THEN_NAME.fullmatch(line) for line in kept]
    if all(colored):
        found = [match.groups() for match in colored if match]
        colors = {value: _color(groups[:3]) for value, groups in enumerate(found)}
        return ClassNames(path, {value: groups[3].strip() for value, groups in enumerate(found)}, colors)
    numbered = [VALUE_THEN_NAME.fullmatch(line) for line in kept]
    if all(numbered):
        return ClassNames(path, _by_value((match[1], match[2].strip()) for match in numbered if match))
    if kept[:1] == [UNLABELLED]:
        return ClassNames(path, {**dict(enumerate(kept[1:])), 255: UNLABELLED})
    return ClassNames(path, dict(enumerate(kept)))


def _by_value(pairs: Iterable[tuple[str, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for value, name in pairs:
        if found.setdefault(int(value), name) != name:
            raise ValueError(f"{found[int(value)]} and {name} have the value {value}")
    return found


def _of_csv(rows: Sequence[Sequence[str]], path: Path) -> ClassNames:
    cells = [[cell.strip() for cell in row] for row in rows]
    header = [cell.casefold() for cell in cells[0]]
    if not {*header} & {*NAME_COLUMNS, *VALUE_COLUMNS, *COLOR_COLUMNS[0], *COLOR_COLUMNS[1]}:
        return _without_header(cells, path)
    rows = cells[1:]
    if "pixel value" in header:
        header.index("class")  # what else the table contains is unknown
    name = next((header.index(title) for title in NAME_COLUMNS if title in header), 0)
    others = [index for index, title in enumerate(header) if title in NAME_COLUMNS and index != name]
    numbers = [index for index in others if all(row[index].isdigit() for row in rows)]
    value = next((header.index(title) for title in VALUE_COLUMNS if title in header), next(iter(numbers), None))
    values = [str(line) for line in range(len(rows))] if value is None else [row[value] for row in rows]
    names = _by_value(zip(values, (row[name] for row in rows), strict=True))
    channels = next((titles for titles in COLOR_COLUMNS if {*titles} <= {*header}), None)
    if channels is None:
        return ClassNames(path, names)
    colors = [_color([row[header.index(title)] for title in channels]) for row in rows]
    return ClassNames(path, names, dict(zip(map(int, values), colors, strict=True)))


def _without_header(rows: Sequence[Sequence[str]], path: Path) -> ClassNames:
    """Rows of names, of a value and a name, or of a name and a colour, in either order."""
    if all(len(row) == 4 for row in rows):
        last = all(part.isdigit() for row in rows for part in row[:3])
        colors = {value: _color(row[:3] if last else row[1:]) for value, row in enumerate(rows)}
        return ClassNames(path, {value: row[3 if last else 0] for value, row in enumerate(rows)}, colors)
    if all(len(row) == 2 and row[0].isdigit() for row in rows):
        return ClassNames(path, _by_value((row[0], row[1]) for row in rows))
    if any(len(row) != 1 for row in rows):
        raise ValueError(f"no column of {rows[0]} is known, such as name, r, g, b")
    return ClassNames(path, {value: row[0] for value, row in enumerate(rows)})


def _of_json(table: Any, path: Path) -> ClassNames:
    if isinstance(table, list):
        return ClassNames(path, {value: _text(name) for value, name in enumerate(table)})
    if "label_map" in table:
        names = {int(value): _text(name) for value, name in table["label_map"].items()}
        colors = dict(zip(names, map(_color, table.get("segmentation_colors") or ()), strict=False))
        return ClassNames(path, names, colors)
    if all(isinstance(entry, list) for entry in table.values()):
        colors = {value: _color(color) for value, color in enumerate(table.values())}
        return ClassNames(path, dict(enumerate(table)), colors)
    if all(isinstance(entry, int) for entry in table.values()):
        return ClassNames(path, {value: name for name, value in table.items()})
    return ClassNames(path, {int(value): _text(name) for value, name in table.items()})


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not a name")  # noqa: TRY004 one except clause for all content of a file
    return name


def _color(channels: Sequence[Any]) -> Color:
    r, g, b = (int(channel) for channel in channels)
    if not 0 <= min(r, g, b) <= max(r, g, b) <= 255:
        raise ValueError(f"{[r, g, b]} is not a colour")
    return (r, g, b)
