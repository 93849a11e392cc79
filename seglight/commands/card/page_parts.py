"""Parts that several sections of a card share."""

from collections.abc import Mapping, Sequence
from typing import Any

from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import NONE, defined, interval, score
from seglight.commands.html_page.tables import name
from seglight.images.types import Color

SOON = 30
"""Number of classes from which on only the first rows of some tables are shown."""


def absent(reason: str) -> Element:
    """A line that says why something is not there."""
    return element("p", reason, class_="note")


def colors(card: Mapping[str, Any]) -> dict[str, Color]:
    """Colours of the classes by name."""
    names, palette = card.get("class_names") or [], card.get("palette") or []
    return {label: _color(color) for label, color in zip(names, palette, strict=False)}


def class_name(card: Mapping[str, Any], label: Any) -> Element:
    """Name of a class with its colour."""
    return name(str(label), colors(card).get(str(label)))


def with_interval(value: Any, bounds: Sequence[Any] | None) -> Child:
    """A score with its interval in small letters below it."""
    text = interval(bounds)
    if not defined(value):
        return NONE
    return score(value) if text == NONE else [score(value), element("small", text)]


def tile(figure: str, label: Child) -> Element:
    """A number with what it is."""
    return element("div", element("div", figure, class_="figure"), element("div", label, class_="label"), class_="tile")


def below_none(value: Any) -> tuple[bool, float]:
    """Key that sorts numbers upwards, and what is not defined behind them."""
    return (not defined(value), value if defined(value) else 0.0)


def _color(color: Sequence[int]) -> Color:
    red, green, blue = (int(part) for part in color)
    return red, green, blue
