"""The class table that follows from the values and colours in masks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from seglight.data.classes import voc_color
from seglight.data.layouts.class_names import ClassNames
from seglight.data.layouts.mask_scan import Values, rgb
from seglight.data.layouts.smeared import refuse_smeared
from seglight.data.layouts.value_remarks import renumbered, unnamed
from seglight.data.one_class import BACKGROUND, two_classes_line
from seglight.errors import UserError
from seglight.images.types import Color

VOID = 255
"""Value, and level of white, that is ignored where it is rare beside small consecutive values."""

WIDE_VOID = 65535
"""Value that is ignored in place of `VOID` where values go beyond 255."""

RARE = 0.25
"""Largest fraction of pixels of `VOID` for which it counts as rare."""

EXAMPLE = (
    "such as 'classes: [{name: background, color: [0, 0, 0], value: 0}, "
    "{name: car, color: [200, 40, 40], value: 1}]' and 'ignore: 255'"
)


def class_table(values: Values, names: ClassNames | None, root: Path) -> tuple[dict[str, Any], list[str]]:
    """The classes of masks as in a `classes.yaml`, and remarks about them.

    Args:
        values: What is in the masks.
        names: Names of the classes, or None.
        root: Folder of the data set, for messages.

    Raises:
        UserError: A value has no name, or its meaning is not clear.
    """
    if names is not None and names.colors and (values.colored or _by_palette(values, names)):
        return _named_colors(values, names)
    if names is None:
        refuse_smeared(values, root)
    if values.clash is not None:
        return _own_palettes(values, names, root)
    if values.colored:
        return _colors(values, names, root)
    return _indices(values, names, root)


def _by_palette(values: Values, names: ClassNames) -> bool:
    """Whether palettes have the colours of the names, and at other indices than in the file of the names."""
    named = set(names.colors.values())
    palette = values.palette
    if not palette or not set(palette.values()) <= named:
        return False
    return values.two_colors or any(names.colors.get(value) != color for value, color in palette.items())


def _own_palettes(values: Values, names: ClassNames | None, root: Path) -> tuple[dict[str, Any], list[str]]:
    """The classes of palette images whose values have other colours in other files.

    Raises:
        UserError: It is not sure that a colour, and not a value, stands for a class.
    """
    path, differs = values.clash or (root, "")
    if names is not None or not values.moved or values.plain or values.repeated:
        raise UserError(
            f"{path}: the palettes of the masks differ: {differs}: describe in {root / 'classes.yaml'} whether "
            "colours, 'labels: color', or values, 'labels: index', stand for the classes"
        )
    by_color = Values(True, Counter({r << 16 | g << 8 | b: pixels for (r, g, b), pixels in values.by_color.items()}))
    by_color.files = dict.fromkeys(by_color.counts, path)
    table, remarks = _colors(by_color, None, root)
    return table, [f"The palettes of the masks differ ({path.name}: {differs}): colours stand for classes.", *remarks]


def _named_colors(values: Values, names: ClassNames) -> tuple[dict[str, Any], list[str]]:
    ignored = names.ignored
    by_color: dict[Color, int] = {}
    for value, color in names.colors.items():
        if by_color.setdefault(color, value) != value:
            raise UserError(
                f"{names.path}: {names.names[by_color[color]]} and {names.names[value]} have the colour "
                f"{list(color)}, which the masks name classes by: give each a colour of its own"
            )
    found = [rgb(value) for value in values.values] if values.colored else []
    strange = [color for color in found if color not in by_color]
    if strange:
        code = strange[0][0] << 16 | strange[0][1] << 8 | strange[0][2]
        raise UserError(
            f"{values.files[code]}: the colour {list(strange[0])} ({values.counts[code]} pixels) is not in "
            f"{names.path}{_more(len(strange))}: add it there, or write a classes.yaml that ignores it"
        )
    entries = [_entry(names.names[value], color) for value, color in names.colors.items() if value not in ignored]
    table = _table(entries, [list(names.colors[value]) for value in sorted(ignored & names.colors.keys())])
    return {"labels": "color", **table}, _about_ignored(names)


def _colors(values: Values, names: ClassNames | None, root: Path) -> tuple[dict[str, Any], list[str]]:
    colors = [rgb(value) for value in values.values]
    grey = all(r == g == b for r, g, b in colors)
    if grey:
        levels = Values(False, Counter({value & 255: number for value, number in values.counts.items()}))
        levels.files = {value & 255: path for value, path in values.files.items()}
        table, remarks = _indices(levels, names, root)
        entries = [_entry(entry["name"], (entry["value"],) * 3) for entry in _valued(table["classes"])]
        kept = {entry["color"][0] for entry in entries}
        void = [[value] * 3 for value in _list(table.get("ignore")) if value not in kept]
        return {"labels": "color", **_table(entries, void)}, remarks
    if names is not None:
        raise UserError(
            f"{names.path}: the classes have no colours there, and the masks are in colour: write "
            f"{root / 'classes.yaml'}, such as 'labels: color' and 'classes: [{{name: road, color: [128, 64, 128]}}]'"
        )
    entries = [_entry(f"class_{index}", color) for index, color in enumerate(colors)]
    remark = unnamed([entry["name"] for entry in entries], "colours")
    return {"labels": "color", **_table(_enough(entries, values, root), [])}, [remark]


def _indices(values: Values, names: ClassNames | None, root: Path) -> tuple[dict[str, Any], list[str]]:
    found = values.values
    if names is not None:
        return _named_indices(values, names)
    beyond = _void_of(values)
    void = beyond in found and _is_void(values, root)
    kept = [value for value in found if not (void and value == beyond)]
    entries = [
        _entry(f"class_{value}", values.palette.get(value) or voc_color(index)) | {"value": value}
        for index, value in enumerate(kept)
    ]
    colors = [tuple(entry["color"]) for entry in entries]
    if len(set(colors)) < len(colors):
        entries = [entry | {"color": list(voc_color(index))} for index, entry in enumerate(entries)]
    remarks = [unnamed([entry["name"] for entry in entries], "values"), *renumbered(kept)]
    if void:
        part = values.counts[beyond] / values.counts.total()
        remarks.append(f"The value {beyond} ({part:.1%} of the pixels) is ignored.")
    return _table(_enough(entries, values, root), [beyond] if void else []), remarks


def _void_of(values: Values) -> int:
    """The value that may be ignored: the largest of 8 or of 16 bits."""
    return VOID if values.values[-1] <= VOID else WIDE_VOID


def _named_indices(values: Values, names: ClassNames) -> tuple[dict[str, Any], list[str]]:
    beyond = _void_of(values)
    void = {beyond} - names.names.keys() if beyond in values.counts else set()
    binary = len(names.names) == 2 and set(names.names) == {0, 1} and {*values.values} == {0, VOID}
    alone = len(names.names) == 1 and len(values.values) == 2 and values.values[0] == 0
    given = {0: names.names[0], VOID: names.names[1]} if binary else dict(names.names)
    if alone:
        given = {0: BACKGROUND, values.values[1]: next(iter(names.names.values()))}
    if binary or alone:
        void = set()
    strange = [value for value in values.values if value not in given and value not in void]
    if strange:
        raise UserError(
            f"{values.files[strange[0]]}: the value {strange[0]} ({values.counts[strange[0]]} pixels) has no name in "
            f"{names.path}, which names {len(names.names)} classes{_more(len(strange))}: add it there, or describe the "
            f"values in a classes.yaml, {EXAMPLE}"
        )
    ignored = set() if binary or alone else names.ignored
    entries = [
        _entry(name, names.colors.get(value) or values.palette.get(value) or voc_color(index)) | {"value": value}
        for index, (value, name) in enumerate(given.items())
        if value not in ignored
    ]
    remarks = [*(_about_ignored(names) if ignored else []), *renumbered([entry["value"] for entry in entries])]
    if alone:
        remarks.append(f"{two_classes_line(names.path.name, entries[1]['name'])}.")
    if void:
        part = values.counts[beyond] / values.counts.total()
        remarks.append(f"The value {beyond} ({part:.1%} of the pixels), which has no name, is ignored.")
    return _table(entries, sorted(ignored | void)), remarks


def _is_void(values: Values, root: Path) -> bool:
    """Whether 255, or 65535, is ignored: it is rare beside at least two small consecutive values.

    Two values, such as 0 and 255, and evenly spread ones, such as 0, 85, 170 and 255, are classes.

    Raises:
        UserError: It may be a class or ignored.
    """
    void = _void_of(values)
    others = [value for value in values.values if value != void]
    if len(others) < 2:
        return False
    part = values.counts[void] / values.counts.total()
    if others[0] <= 1 and others == list(range(others[0], others[-1] + 1)) and part <= RARE:
        return True
    steps = [after - before for before, after in pairwise([*others, void])]
    if max(steps) - min(steps) <= 2 and min(steps) > 1:
        return False
    shown = ", ".join(map(str, others[:6])) + (", ..." if len(others) > 6 else "")
    raise UserError(
        f"{values.files[void]}: the masks hold the values {shown} and, in {part:.1%} of the pixels, {void}, which may "
        f"be a class or ignored: describe them in {root / 'classes.yaml'}, {EXAMPLE}"
    )


def _enough(entries: list[dict[str, Any]], values: Values, root: Path) -> list[dict[str, Any]]:
    if len(entries) > 1:
        return entries
    raise UserError(
        f"{values.files[values.values[0]]}: all pixels of all masks have one value, {values.values[0]}, where at least "
        f"two classes should be: label more, or describe the values in {root / 'classes.yaml'}, "
        f"{EXAMPLE}"
    )


def _table(entries: Sequence[Mapping[str, Any]], ignored: Sequence[Any]) -> dict[str, Any]:
    plain = [dict(entry) for entry in entries]
    if [entry.get("value", index) for index, entry in enumerate(plain)] == list(range(len(plain))):
        plain = [{key: entry[key] for key in ("name", "color")} for entry in plain]
    table: dict[str, Any] = {"classes": plain}
    if ignored:
        table["ignore"] = ignored[0] if len(ignored) == 1 else list(ignored)
    return table


def _valued(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"value": index, **entry} for index, entry in enumerate(entries)]


def _list(ignored: Any) -> list[Any]:
    return [] if ignored is None else ignored if isinstance(ignored, list) else [ignored]


def _entry(name: str, color: Sequence[int]) -> dict[str, Any]:
    return {"name": name, "color": list(color)}


def _about_ignored(names: ClassNames) -> list[str]:
    ignored = [names.names[value] for value in sorted(names.ignored)]
    return [f"Pixels of {', '.join(ignored)} are ignored."] if ignored else []


def _more(number: int) -> str:
    return f" (and {number - 1} more are not)" if number > 1 else ""
