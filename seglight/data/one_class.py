"""Descriptions with one class: the background is another, because nets are trained with a softmax over classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from seglight.errors import UserError

BACKGROUND = "background"
"""Name of the class that is added."""

VALUES = (1, 255)
"""Values of the one class in masks where none is given; the background is 0."""


def with_background(entries: Sequence[Mapping[str, Any]], by_color: bool, ignored: Any) -> list[dict[str, Any]]:
    """The entries of a description, with the background before the class if there is only one.

    Args:
        entries: Name, colour and, perhaps, values of each class.
        by_color: Whether colours stand for classes in the masks.
        ignored: Value or values that are ignored, or None.

    Raises:
        UserError: The class is the background.
    """
    if len(entries) != 1:
        return [dict(entry) for entry in entries]
    only = dict(entries[0])
    if only["name"] == BACKGROUND or only.get("value") == 0:
        raise UserError(f"the only class is {only['name']}, and is the background: name a class that is to be found")
    void = ignored if isinstance(ignored, list) else [ignored]
    background: dict[str, Any] = {"name": BACKGROUND, "color": [0, 0, 0]}
    if not by_color:
        background["value"] = 0
        only.setdefault("value", [value for value in VALUES if value not in void])
    return [background, only]


def two_classes_line(source: object, name: str) -> str:
    """The line for the user: one class works as two.

    Args:
        source: Path of the file that names the class.
        name: Name of the class.
    """
    return f"{source}: one class, {name!r}, which works as two: {BACKGROUND} and {name}"
