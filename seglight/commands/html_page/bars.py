"""Bars and differences with intervals, drawn in the cells of a table: their texts stay text at any width."""

import math
from collections.abc import Sequence
from typing import Any

from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import defined, signed
from seglight.commands.html_page.tables import Column, table

HEIGHT = 10

SCALE_DIGITS = 2
"""Digits after the point of the ends of a forest plot."""


def bar(value: Any, interval: Sequence[Any] | None = None, highest: float = 1.0) -> Element | None:
    """A bar from 0 to a value, with its interval as a line.

    Args:
        value: Length; None or NaN draws nothing.
        interval: Lower and upper end, or None.
        highest: Value at the right end of the cell.
    """
    if not defined(value) or highest <= 0:
        return None
    parts = [
        element("rect", class_="track", x="0", y="2", width="100", height="6"),
        element("rect", class_="fill", x="0", y="2", width=_at(value, highest), height="6"),
    ]
    if _both(interval):
        low, high = (_at(one, highest) for one in interval or ())
        parts.append(_line("whisker", low, high, 5))
        parts += [element("line", class_="whisker", x1=x, x2=x, y1="2.5", y2="7.5") for x in (low, high)]
    return _cell(parts, 0)


def difference(value: Any, interval: Sequence[Any] | None, extent: float) -> Element | None:
    """A difference as a dot with its interval, around a line at 0.

    It is coloured only if the interval does not contain 0.

    Args:
        value: Difference; None or NaN draws nothing.
        interval: Lower and upper end, or None.
        extent: Difference at the right end of the cell; minus this one is at the left end.
    """
    if not defined(value) or extent <= 0:
        return None
    parts = [element("line", class_="zero", x1="0", x2="0", y1="0", y2=HEIGHT)]
    verdict = None
    if _both(interval):
        low, high = interval or (0, 0)
        verdict = "better" if low > 0 else "worse" if high < 0 else None
        parts.append(_line("range", _place(low, extent), _place(high, extent), 5))
    dot = _place(value, extent)
    parts.append(_line("dot", dot, dot + 0.001, 5))
    return _cell([element("g", parts, class_=verdict)], -100)


def forest(
    caption: str, heading: str, rows: Sequence[tuple[Child, Any, Sequence[Any] | None]], digits: int = 3
) -> Element:
    """A forest plot: a table of differences with their intervals, drawn on one scale.

    Args:
        caption: What is compared with what.
        heading: Heading of the first column, which names the rows.
        rows: Name, difference and interval of each row.
        digits: Digits after the point.
    """
    ends = [abs(one) for _, value, bounds in rows for one in (value, *(bounds or ())) if defined(one)]
    step = 10**-SCALE_DIGITS
    extent = step * math.ceil(max(ends, default=0.0) / step) or 1.0
    scale = f"drawn from {signed(-extent, SCALE_DIGITS)} to {signed(extent, SCALE_DIGITS)}"
    columns = [Column(heading, "name"), Column(scale, "bar"), Column("difference"), Column("95 % interval")]
    cells = [
        [label, difference(value, bounds, extent), signed(value, digits), signed_interval(bounds, digits)]
        for label, value, bounds in rows
    ]
    return table(caption, columns, cells)


def signed_interval(bounds: Sequence[Any] | None, digits: int = 3) -> str:
    """An interval of a difference, such as +0.010 to +0.020."""
    if not _both(bounds):
        return signed(None)
    low, high = bounds or (None, None)
    return f"{signed(low, digits)} to {signed(high, digits)}"


def _both(interval: Sequence[Any] | None) -> bool:
    return interval is not None and len(interval) == 2 and all(map(defined, interval))


def _at(value: float, highest: float) -> float:
    return 100 * min(1.0, max(0.0, value / highest))


def _place(value: float, extent: float) -> float:
    return 100 * min(1.0, max(-1.0, value / extent))


def _line(kind: str, low: float, high: float, y: float) -> Element:
    return element("line", class_=kind, x1=low, x2=high, y1=y, y2=y)


def _cell(parts: Sequence[Element], left: int) -> Element:
    """A drawing that is stretched to the width of its cell; the lines keep their width."""
    return element(
        "svg",
        *parts,
        class_="bar",
        viewBox=f"{left} 0 {100 - left} {HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
