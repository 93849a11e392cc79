"""Axes of a chart in SVG: a frame with ticks and labels, and the places of values in it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seglight.commands.html_page.element import Child, Element, element

WIDTH, HEIGHT = 360, 230
"""Units of a chart, about pixels on a phone."""

LEFT, RIGHT, TOP, BOTTOM = 60, 10, 10, 40
"""Margins of the axes."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    Args:
        low: Value at its beginning.
        high: Value at its end.
        label: What it shows.
        form: Text of a tick.
    """

    low: float
    high: float
    label: str
    form: Callable[[float], str] = "{:g}".format

    def ticks(self, most: int = 5) -> list[float]:
        """Round values on the axis, at most `most` + 1."""
        return round_ticks(self.low, self.high, most)


@dataclass(frozen=True)
class Plot:
    """A chart with two axes.

    Args:
        x: Horizontal axis.
        y: Vertical axis.
        height: Units of height.
    """

    x: Axis
    y: Axis
    height: int = HEIGHT

    def at_x(self, value: float) -> float:
        """Horizontal place of a value."""
        return LEFT + (WIDTH - LEFT - RIGHT) * _share(self.x, value)

    def at_y(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * _share(self.y, value)

    def draw(self, title: str, content: Sequence[Child], about: str, below: Child = None) -> Element:
        """A figure with axes and content.

        Args:
            title: Heading of the chart.
            content: Elements of SVG.
            about: What the chart shows, in words, for readers who do not see it.
            below: What stands below the axes, such as a legend.
        """
        drawing = element(
            "svg",
            element("title", about),
            self._axes(),
            *content,
            class_="plot",
            viewBox=f"0 0 {WIDTH} {self.height}",
            role="img",
            aria_label=about,
        )
        return element("figure", element("figcaption", title), drawing, below, class_="chart")

    def _axes(self) -> list[Element]:
        left, right = float(LEFT), float(WIDTH - RIGHT)
        bottom = float(self.height - BOTTOM)
        parts = []
        for tick in self.y.ticks():
            y = self.at_y(tick)
            parts.append(element("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
            parts.append(element("text", self.y.form(tick), x=left - 6, y=y + 4, text_anchor="end"))
        for tick in self.x.ticks():
            x = self.at_x(tick)
            parts.append(element("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 4))
            parts.append(element("text", self.x.form(tick), x=x, y=bottom + 16, text_anchor="middle"))
        parts.append(element("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
        middle = (left + right) / 2
        parts.append(element("text", self.x.label, x=middle, y=bottom + 33, text_anchor="middle"))
        up = (TOP + bottom) / 2
        turned = f"translate(11 {up:g}) rotate(-90)"
        parts.append(element("text", self.y.label, transform=turned, text_anchor="middle"))
        return parts


def points(places: Sequence[tuple[float, float]]) -> str:
    """Places as the points of a polyline."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places)


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, at most `most` + 1 of them."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def _share(axis: Axis, value: float) -> float:
    if not axis.high > axis.low:
        return 0.5
    return min(1.0, max(0.0, (value - axis.low) / (axis.high - axis.low)))
