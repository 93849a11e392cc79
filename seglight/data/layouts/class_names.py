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
from dataclasses import dataclass, field
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
VALUE_THEN_NAME = re.compile(r"(\d+)\s*[:,;\s]\s*(\D.*)")


@dataclass(frozen=True)
class ClassNames:
    """Names of classes by the value that they have in index masks.

    Args:
        path: File that contains them.
        names: Name by value.
        colors: Colour by value; empty if the file has no colours.
    """

    path: Path
    names: Mapping[int, str]
    colors: Mapping[int, Color] = field(default_factory=dict)

    @property
    def ignored(self) -> set[int]:
        """Values whose name says that they are not labelled."""
        return {value for value, name in self.names.items() if name.casefold() in IGNORED}


def class_names(folders: Iterable[Path]) -> ClassNames | None:
    """Names of classes from the first known file in some folders; None if there is none.

    Args:
        folders: Folders to look in.

    Raises:
        UserError: A file can't be read, or files of the same name in two folders differ.
    """
    places = list(folders)
    for name in FILES:
        found = [read_class_names(folder / name) for folder in places if (folder / name).is_file()]
        for other in found[1:]:
            if (other.names, other.colors) != (found[0].names, found[0].colors):
                raise UserError(
                    f"{other.path}: other classes than in {found[0].path}: export all splits from one project"
                )
        if found:
            return found[0]
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
        return ClassNames(path, {int(match[1]): match[2].strip() for match in numbered if match})
    return ClassNames(path, dict(enumerate(kept)))


def _of_csv(rows: Sequence[Sequence[str]], path: Path) -> ClassNames:
    header = [cell.strip().casefold() for cell in rows[0]]
    cells = [[cell.strip() for cell in row] for row in rows[1:]]
    if "pixel value" in header:
        value, name = header.index("pixel value"), header.index("class")
        return ClassNames(path, {int(row[value]): row[name] for row in cells})
    name = next((header.index(title) for title in ("name", "class", "label", "class_name") if title in header), 0)
    channels = [header.index(title) for title in ("r", "g", "b") if title in header]
    names = {value: row[name] for value, row in enumerate(cells)}
    if len(channels) != 3:
        return ClassNames(path, names)
    return ClassNames(path, names, {v: _color([row[k] for k in channels]) for v, row in enumerate(cells)})


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
