"""Parts that several sections of a card share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import NONE, defined, interval, score
from seglight.commands.html_page.tables import name
from seglight.images.types import Color
from seglight.system.run_files import BEST, CHECKPOINTS

FEWEST = 10
"""Number of images with a class below which its intervals can't be relied on: they are drawn from so few values."""

FEWEST_GROUPS = 20
"""Number of groups (or single images) below which a bootstrap's intervals are too narrow."""


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


def with_interval(value: Any, bounds: Sequence[Any] | None, mark: str = "") -> Child:
    """A score with a mark behind it, and its interval in small letters below it."""
    text = interval(bounds)
    if not defined(value):
        return NONE
    return score(value) if text == NONE else [f"{score(value)}{mark}", element("small", text)]


def images_with(card: Mapping[str, Any], label: Any) -> Any:
    """Number of images of the scored split that have labelled pixels of a class; None where it is not known."""
    split = ((card.get("data") or {}).get("splits") or {}).get(str(card.get("split"))) or {}
    return ((split.get("classes") or {}).get(str(label)) or {}).get("images")


def few_images(card: Mapping[str, Any], label: Any) -> bool:
    """Whether a class is in too few images for its intervals to be relied on."""
    images = images_with(card, label)
    return defined(images) and images < FEWEST


def chosen_here(card: Mapping[str, Any]) -> str | None:
    """That the checkpoint was chosen on the scored split, as far as its path and the split tell; None if it was not."""
    path = Path(str((card.get("model") or {}).get("path") or ""))
    if card.get("split") != "val" or path.name != BEST or path.parent.name != CHECKPOINTS:
        return None
    return (
        f"The score is optimistic: {BEST} is the best of the run's validations, and was chosen on these images, if the "
        "run was validated on them. Score a split by which nothing was chosen, too: --split test."
    )


def tile(figure: str, label: Child) -> Element:
    """A number with what it is."""
    return element("div", element("div", figure, class_="figure"), element("div", label, class_="label"), class_="tile")


def below_none(value: Any) -> tuple[bool, float]:
    """Key that sorts numbers upwards, and what is not defined behind them."""
    return (not defined(value), value if defined(value) else 0.0)


def _color(color: Sequence[int]) -> Color:
    red, green, blue = (int(part) for part in color)
    return red, green, blue
