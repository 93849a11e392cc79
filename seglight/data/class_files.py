"""Class tables in files: a `classes.yaml`, or the `config_v2.0.json` of Mapillary Vistas.

    labels: index        # or color: the masks' RGB colours name the classes
    others: refuse       # or ignore: treatment of values that are neither a class nor ignored
    ignore: 255          # value of ignored pixels, or a list of values; colours with `labels: color`
    images: {train: training/images, val: validation/images}    # below root, by split; or one for all: images: photos
    masks: {train: training/labels, val: "validation/{stem}_mask.png"}    # folders or patterns
    bands: {names: [blue, green, red, nir], type: uint16, mean: [...], std: [...]}    # images other than 8-bit RGB
    classes:             # in the order of their index
    - {name: background, color: [0, 0, 0]}
    - {name: car, color: [0, 0, 142], value: [7, 8]}    # its value, or values, in the masks

Only `classes` is required. By default, `labels` and `others` are as shown, nothing is ignored, a class's value is its
index in the list (0, 1, ...), and the folders are `images/<split>` and `masks/<split>`. A single class works as two:
the background, of value 0 or the colour [0, 0, 0], and it, of the values 1 and 255 by default. An image and its mask
have the same name without suffix, or the patterns of `seglight/data/file_patterns.py` tell which parts of their names
are equal; masks may be .png, .tif, .bmp, .gif or .npy. `seglight/images/bands.py` shows all keys of `bands`, of which
`seglight doctor` measures the values. If all splits have one description, `data.lists` names the images of each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from seglight.data.classes import Classes
from seglight.data.file_patterns import Pattern
from seglight.data.labels import Codec, ColorCodec, LabelCodec, Others
from seglight.data.one_class import two_classes_line, with_background
from seglight.data.pairs import say_once
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.types import Color
from seglight.ops.label_types import MOST_CLASSES
from seglight.system.nested import parse_json, parse_yaml

CLASS_FILE = "classes.yaml"
"""Name of the file in the root of a data set."""

FORM = "it should be 'classes: [{name: cat, color: [200, 40, 40]}, ...]' and, where pixels are ignored, 'ignore: 255'"
KEYS = ("bands", "classes", "ignore", "images", "labels", "masks", "others")
CLASS_KEYS = ("color", "name", "value")
SPLITS = {"train", "val", "test"}

Folders = str | Mapping[str, str]
"""Folder or pattern below the data set's root: of all splits, or by split."""


@dataclass(frozen=True)
class ClassFile:
    """Description of a data set in a file.

    Args:
        classes: Names and colours of the classes.
        codec: Codec that reads the masks.
        images: Folder or pattern of the images, or None for `images/<split>`.
        masks: Folder or pattern of the masks, or None for `masks/<split>`.
        bands: What the images hold.
    """

    classes: Classes
    codec: Codec
    images: Folders | None = None
    masks: Folders | None = None
    bands: Bands = RGB


def read_classes(path: Path) -> ClassFile:
    """Read the class table, codec and folders from a file.

    Raises:
        UserError: The file is missing or not of the form in this module's docstring.
    """
    return class_file(parsed(path), path)


def declared_bands(bands: str | Mapping[str, Any] | None) -> Bands:
    """The bands that an option of a data module declares.

    Args:
        bands: The keys under `bands` of this module's docstring, a file that has them under this key, or None for 8-bit
            RGB.

    Raises:
        UserError: The file has no such key, or a value is not valid.
    """
    if bands is None:
        return RGB
    if not isinstance(bands, str):
        return Bands.from_dict(bands)
    content = parsed(Path(bands))
    if not isinstance(content, dict) or content.get("bands") is None:
        raise UserError(f"{bands}: it has no key `bands`: copy the lines that `seglight doctor` prints")
    try:
        return Bands.from_dict(content["bands"])
    except UserError as error:
        raise UserError(f"{bands}: {error}") from error


def class_file(table: Any, path: Path) -> ClassFile:
    """Interpret the content of a file.

    Args:
        table: Content of the file.
        path: Path of the file.

    Raises:
        UserError: It is not of the form in this module's docstring.
    """
    try:
        table = _own_form(table, path)
        found = _own(table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {type(error).__name__} {error}: {FORM}") from error
    if len(table["classes"]) == 1:
        say_once(two_classes_line(path, found.classes.names[1]))
    return found


def parsed(path: Path) -> Any:
    """Read the content of a file.

    Raises:
        UserError: The file is missing, or neither YAML nor JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(
            f"{path}: no such file: it names the classes; set data.root to the right place, or data.classes to the file"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: set data.root to the right place") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not {'JSON' if path.suffix == '.json' else 'YAML'}: {error}") from error


def class_table(path: Path) -> dict[str, Any]:
    """The content of a file, Mapillary's in the form of this module's docstring.

    Raises:
        UserError: The file is missing or not of one of the forms.
    """
    content = parsed(path)
    class_file(content, path)
    return dict(_own_form(content, path))


def _own_form(table: Any, path: Path) -> Any:
    """The labels of Mapillary in our form: a value is an index in the list; what is not evaluated is ignored."""
    if not isinstance(table, dict) or not isinstance(table.get("labels"), list):
        return table
    labels = table["labels"]
    version = path.stem.removeprefix("config").strip("_")
    entries = [
        {"name": label["readable"], "color": label["color"], "value": value}
        for value, label in enumerate(labels)
        if label["evaluate"]
    ]
    ignored = [value for value, label in enumerate(labels) if not label["evaluate"]]
    folders = {"train": "training", "val": "validation"}
    return {
        **({"bands": table["bands"]} if table.get("bands") is not None else {}),
        **({"ignore": ignored} if ignored else {}),
        "images": {split: f"{folder}/images" for split, folder in folders.items()},
        "masks": {split: (PurePosixPath(folder) / version / "labels").as_posix() for split, folder in folders.items()},
        "classes": entries,
    }


def _own(table: Any) -> ClassFile:
    by_color = _one_of(table, "labels", ("index", "color")) == "color"
    entries = with_background(table["classes"], by_color, table.get("ignore"))
    classes = _classes([entry["name"] for entry in entries], [entry["color"] for entry in entries])
    _known_keys(table, KEYS, "the file")
    for entry in entries:
        _known_keys(entry, CLASS_KEYS, f"class {entry['name']}")
    others: Others = "ignore" if _one_of(table, "others", ("refuse", "ignore")) == "ignore" else "refuse"
    codec: Codec
    if by_color:
        codec = _color_codec(entries, classes, table.get("ignore"), others)
    else:
        codec = _index_codec(entries, table.get("ignore"), others)
    bands = Bands.from_dict(table["bands"]) if table.get("bands") is not None else RGB
    return ClassFile(classes, codec, _folders(table, "images"), _folders(table, "masks"), bands)


def _classes(names: Sequence[Any], colors: Sequence[Any]) -> Classes:
    palette = tuple(_color(color) for color in colors)
    for name in names:
        if not isinstance(name, str):
            raise UserError(f"the name {name!r} of a class is not a text: put it in quotes")
    if not 2 <= len(names) <= MOST_CLASSES or len(set(names)) < len(names):
        raise UserError(f"{len(names)} classes: there must be 1 to {MOST_CLASSES}, each name once")
    return Classes(tuple(names), palette)


def _index_codec(entries: Sequence[Mapping[str, Any]], ignore: Any, others: Others) -> LabelCodec:
    of_class = [_values(entry.get("value", index)) for index, entry in enumerate(entries)]
    ignored = [] if ignore is None else _values(ignore)
    every = Counter(chain(*of_class, ignored))
    beyond = [value for value in every if not 0 <= value < 2**16]
    if beyond:
        raise UserError(f"{beyond[0]} as `value` or `ignore`: values lie in 0 to 65535")
    twice = [value for value, times in every.items() if times > 1]
    if twice:
        raise UserError(
            f"{twice[0]} stands for two things: each class must have values of its own, and `ignore` none of them"
        )
    return LabelCodec({value: index for index, values in enumerate(of_class) for value in values}, ignored, others)


def _color_codec(entries: Sequence[Mapping[str, Any]], classes: Classes, ignore: Any, others: Others) -> ColorCodec:
    valued = [entry["name"] for entry in entries if "value" in entry]
    if valued:
        raise UserError(f"class {valued[0]} has a `value` beside `labels: color`: remove one of the two")
    ignored = _ignored_colors(ignore)
    twice = [list(color) for color, times in Counter((*classes.palette, *ignored)).items() if times > 1]
    if twice:
        raise UserError(f"the colour {twice[0]} stands for two things: with `labels: color` each needs its own")
    return ColorCodec({color: index for index, color in enumerate(classes.palette)}, ignored, others)


def _ignored_colors(ignore: Any) -> list[Color]:
    if ignore is None:
        return []
    if not isinstance(ignore, list) or not ignore:
        raise UserError(f"`ignore: {ignore}`, where `labels: color` needs a colour, [0, 0, 0], or a list of colours")
    return [_color(color) for color in (ignore if isinstance(ignore[0], list) else [ignore])]


def _folders(table: Mapping[str, Any], key: str) -> Folders | None:
    folders = table.get(key)
    if folders is None:
        return None
    by_split = isinstance(folders, dict) and folders.keys() <= SPLITS
    given = [*folders.values()] if by_split else [folders]
    if not all(isinstance(folder, str) for folder in given):
        raise UserError(
            f"`{key}` should name a folder, or folders by split: '{{train: training/{key}, val: validation/{key}}}'"
        )
    for folder in given:
        try:
            Pattern.parsed(folder)
        except UserError as error:
            raise UserError(f"`{key}`: {error}") from error
    return dict(folders) if by_split else str(folders)


def _one_of(table: Mapping[str, Any], key: str, known: tuple[str, str]) -> str:
    value = table.get(key, known[0])
    if value not in known:
        raise UserError(f"`{key}: {value}` is not known: give '{known[0]}', which is the default, or '{known[1]}'")
    return str(value)


def _known_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise UserError(f"`{unknown[0]}` in {where} is not known: the keys are {', '.join(known)}")


def _color(color: Any) -> Color:
    r, g, b = (_number(channel) for channel in color)
    if not 0 <= min(r, g, b) <= max(r, g, b) <= 255:
        raise UserError(f"{[r, g, b]} as a colour: red, green and blue lie in 0 to 255")
    return (r, g, b)


def _values(entry: Any) -> list[int]:
    values = [_number(value) for value in (entry if isinstance(entry, list) else [entry])]
    if not values:
        raise UserError("an empty list as `value` or `ignore`: name a value, or leave the key out")
    return values


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")  # noqa: TRY004 one except clause for all content of a file
    return value
