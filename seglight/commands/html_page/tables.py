"""Tables that scroll inside themselves, lists of names and values, and names of classes and files."""

from collections.abc import Sequence
from typing import NamedTuple

from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import NONE
from seglight.images.types import Color

TALL = 40
"""Number of rows from which on a table scrolls in a box of limited height."""

LONGEST = 80
"""Characters of a name that are shown; the whole name is its tooltip."""


class Column(NamedTuple):
    """A column of a table.

    Args:
        title: Heading.
        kind: "number", "name" or "bar"; a bar takes the width that is left.
    """

    title: str
    kind: str = "number"


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Child]]) -> Element:
    """A table whose first column names the rows.

    Args:
        caption: What the table shows.
        columns: Its columns.
        rows: Cells, as many as columns in each row; `NONE` stands for a number that is not defined.
    """
    head = element("tr", [element("th", column.title, scope="col", class_=column.kind) for column in columns])
    body = [element("tr", [_cell(*pair, k) for k, pair in enumerate(zip(columns, row, strict=True))]) for row in rows]
    return scrolling(
        element("table", element("caption", element("span", caption)), element("thead", head), element("tbody", body)),
        caption,
        tall=len(rows) > TALL,
    )


def scrolling(content: Element, label: str, tall: bool = False) -> Element:
    """A box that scrolls where its content is wider than the page, by the keyboard, too."""
    kind = "scroll tall" if tall else "scroll"
    return element("div", content, class_=kind, role="region", aria_label=label, tabindex="0")


def facts(pairs: Sequence[tuple[str, Child]]) -> Element:
    """A list of names and values."""
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in pairs])


def name(text: str, color: Color | None = None) -> Element:
    """Name of a class or a file, whatever it holds, with the colour of the class.

    Args:
        text: The name; its end is left out if it is very long.
        color: Colour of the class, or None.
    """
    cut = len(text) > LONGEST
    shown = text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}" if cut else text or "(no name)"
    title = text if cut else None
    return element("span", swatch(color), element("bdi", shown), class_="name", title=title)


def swatch(color: Color | None) -> Element | None:
    """A small square of a class's colour."""
    if color is None:
        return None
    fill = "#" + "".join(f"{int(part):02x}" for part in color)
    return element(
        "svg",
        element("rect", width="10", height="10", rx="2", fill=fill),
        class_="swatch",
        viewBox="0 0 10 10",
        aria_hidden="true",
    )


def _cell(column: Column, content: Child, index: int) -> Element:
    if content == NONE:
        content = element("span", NONE, class_="none", title="not defined")
    if index == 0:
        return element("th", content, scope="row", class_=column.kind)
    return element("td", content, class_=column.kind)
