"""Heat maps as tables, whose cells are coloured by their values: confusion matrices, corruptions by severity."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from seglight.commands.html_page.colors import LEVELS
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import NONE, defined, score
from seglight.commands.html_page.tables import TALL, scrolling


def heat_map(
    caption: str,
    corner: str,
    columns: Sequence[Child],
    rows: Sequence[tuple[Child, Sequence[Any]]],
    highest: float = 1.0,
    form: Callable[[Any], str] = score,
) -> Element:
    """A table of values whose cells are the darker, the larger the value is.

    Args:
        caption: What the table shows.
        corner: Heading of the column of names.
        columns: Headings of the values.
        rows: Name and values of each row; a value that is not defined is a dash without colour.
        highest: Value of the darkest colour; 0 has none.
        form: Text of a value.
    """
    head = element("tr", element("th", corner, scope="col"), [element("th", one, scope="col") for one in columns])
    body = [
        element("tr", element("th", label, scope="row", class_="name"), [_cell(one, highest, form) for one in values])
        for label, values in rows
    ]
    content = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head),
        element("tbody", body),
        class_="heat",
    )
    return scrolling(content, caption, tall=len(rows) > TALL)


def level(value: float, highest: float) -> int:
    """Level of a value's colour, from 0 to `LEVELS`."""
    return min(LEVELS, max(0, math.floor(LEVELS * value / highest + 0.5))) if highest > 0 else 0


def _cell(value: Any, highest: float, form: Callable[[Any], str]) -> Element:
    if not defined(value):
        return element("td", element("span", NONE, class_="none", title="not defined"))
    return element("td", form(value), class_=f"heat-{level(value, highest)}")
