"""Charts with axes: curves with a legend, histograms, reliability diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any

from seglight.commands.html_page.colors import DASHES, SERIES
from seglight.commands.html_page.element import Child, Element, element
from seglight.commands.html_page.numbers import count, defined, score, short
from seglight.commands.html_page.plot import WIDTH, Axis, Plot, points
from seglight.commands.html_page.tables import name

POINTS = 400
"""Points of a curve that are drawn."""

SQUARE = WIDTH - 20
"""Height of a reliability diagram, whose axes are then of equal length."""


def curves(title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[Sequence[Any]]]) -> Element | None:
    """Lines with a legend; None if no point is defined.

    Args:
        title: Heading of the chart.
        x_label: What the horizontal axis shows.
        y_label: What the vertical axis shows.
        series: Pairs (x, y) of each line; those that are not defined are left out. Of a line with more than `POINTS`
            points, each that is drawn is the mean of its neighbours.
    """
    lines = {key: thinned([(x, y) for x, y in pairs if defined(x) and defined(y)]) for key, pairs in series.items()}
    lines = {key: line for key, line in lines.items() if line}
    if not lines:
        return None
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    plot = Plot(Axis(min(xs), max(xs), x_label, short), Axis(*_padded(min(ys), max(ys)), y_label, short))
    drawn: list[Child] = []
    legend = []
    for k, (key, line) in enumerate(lines.items()):
        kind, dash = f"curve series-{k % len(SERIES)}", DASHES[k % len(DASHES)]
        places = [(plot.at_x(x), plot.at_y(y)) for x, y in line]
        drawn.append(element("polyline", class_=kind, points=points(places), stroke_dasharray=dash))
        if len(line) == 1:
            drawn.append(element("circle", class_=kind, cx=places[0][0], cy=places[0][1], r="2.5"))
        legend.append(element("li", _key(kind, dash), name(key), f" {short(line[-1][1])}"))
    last = ", ".join(f"{key} ends at {short(line[-1][1])}" for key, line in lines.items())
    return plot.draw(title, drawn, f"{title}: {last}", element("ul", legend, class_="legend"))


def histogram(
    title: str,
    x_label: str,
    y_label: str,
    bins: Sequence[tuple[float, float, Any]],
    mark: tuple[str, Any] | None = None,
) -> Element | None:
    """Bars of the numbers in bins; None if nothing is counted.

    Args:
        title: Heading of the chart.
        x_label: What the bins are of.
        y_label: What is counted.
        bins: Lower edge, upper edge and number of each bin.
        mark: Name and place of a vertical line, or None.
    """
    tallest = max((number for _, _, number in bins if defined(number)), default=0)
    if not tallest:
        return None
    plot = Plot(Axis(bins[0][0], bins[-1][1], x_label), Axis(0, tallest, y_label, count))
    drawn: list[Child] = [
        _box("fill", plot, (low, high), (0, number), 1) for low, high, number in bins if defined(number) and number
    ]
    about = f"{title}: " + ", ".join(
        f"{count(number)} from {low:g} to {high:g}" for low, high, number in bins if number
    )
    legend = None
    if mark is not None and defined(mark[1]):
        x = plot.at_x(mark[1])
        drawn.append(element("line", class_="mark", x1=x, x2=x, y1=plot.at_y(tallest), y2=plot.at_y(0)))
        legend = element("p", f"Dashed line: {mark[0]}, {score(mark[1])}.", class_="small")
    return plot.draw(title, drawn, about, legend)


def reliability(title: str, bins: Sequence[Mapping[str, Any]]) -> Element | None:
    """A reliability diagram: accuracy by confidence, with the gap to the diagonal; None if nothing is counted.

    Args:
        title: Heading of the chart.
        bins: Bins of confidence with the keys `from`, `to`, `pixels`, `confidence` and `accuracy`.
    """
    filled = [one for one in bins if one["pixels"] and defined(one["confidence"]) and defined(one["accuracy"])]
    if not filled:
        return None
    plot = Plot(Axis(0, 1, "confidence"), Axis(0, 1, "accuracy"), SQUARE)
    drawn: list[Child] = []
    for one in filled:
        edges = (one["from"], one["to"])
        drawn.append(_box("fill", plot, edges, (0, one["accuracy"]), 1))
        drawn.append(_box("gap", plot, edges, sorted((one["accuracy"], one["confidence"])), 1))
    ends = {"x1": plot.at_x(0), "y1": plot.at_y(0), "x2": plot.at_x(1), "y2": plot.at_y(1)}
    drawn.append(element("line", class_="ideal", **ends))
    about = f"{title}: " + ", ".join(
        f"confidence {score(one['confidence'], 2)} accuracy {score(one['accuracy'], 2)}" for one in filled
    )
    return plot.draw(title, drawn, about)


def thinned(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS` points: means of neighbours, and the last one as it is."""
    step = -(-len(line) // POINTS)
    if step <= 1:
        return list(line)
    groups = [line[k : k + step] for k in range(0, len(line) - 1, step)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [*means, line[-1]]


def _padded(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis: a little beyond the values, and 0 if it is near."""
    if low == high:
        return (low - 0.5, high + 0.5) if low == 0 else (min(0.0, 2 * low), max(0.0, 2 * low))
    room = 0.05 * (high - low)
    low = 0.0 if 0 <= low < high / 2 else low - room
    return low, high + room


def _box(kind: str, plot: Plot, across: Sequence[float], up: Sequence[float], gap: float) -> Element:
    """A rectangle between values, narrower by a gap."""
    left, right = map(plot.at_x, across)
    bottom, top = map(plot.at_y, up)
    return element(
        "rect", class_=kind, x=left + gap / 2, y=top, width=max(0.5, right - left - gap), height=max(0.0, bottom - top)
    )


def _key(kind: str, dash: str | None) -> Element:
    line = element("line", class_=kind, x1="0", x2="24", y1="5", y2="5", stroke_dasharray=dash)
    return element("svg", line, class_="key", viewBox="0 0 24 10", aria_hidden="true")
