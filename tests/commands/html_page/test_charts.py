"""Charts: the shapes that they draw, by hand.

Covers: commands.html_page.colors.
"""

from xml.etree import ElementTree

import pytest

from seglight.commands.html_page.charts import POINTS, curves, histogram, reliability, thinned
from seglight.commands.html_page.colors import SERIES
from seglight.commands.html_page.element import Element, markup


def parsed(made: Element | None) -> ElementTree.Element:
    assert made is not None
    return ElementTree.fromstring(markup(made))


def by_class(tree: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [one for one in tree.iter() if kind in one.attrib.get("class", "").split()]


def test_curves_have_a_legend_with_their_last_values() -> None:
    tree = parsed(curves("Loss", "step", "loss", {"a": [[0, 0], [10, 4]], "b": [[5, None], [10, 2]], "c": []}))
    lines = list(tree.iter("polyline"))
    # the axis ends 5 % beyond the values: 4 of 4.2 is 171.43 of 180 units above 190
    assert [line.attrib["points"] for line in lines] == ["60.00,190.00 350.00,18.57", "350.00,104.29"]
    assert ["".join(entry.itertext()) for entry in tree.iter("li")] == ["a 4", "b 2"]
    assert len(list(tree.iter("circle"))) == 1, "a single point is drawn as a dot"
    assert [line.attrib.get("stroke-dasharray") for line in lines] == [None, "6 3"]
    (drawing,) = by_class(tree, "plot")
    assert drawing.attrib["aria-label"] == "Loss: a ends at 4, b ends at 2"


def test_nothing_is_drawn_of_nothing() -> None:
    assert curves("Loss", "step", "loss", {"a": [[0, None]]}) is None
    assert histogram("h", "x", "y", [(0, 1, 0)]) is None
    assert histogram("h", "x", "y", []) is None
    assert reliability("r", [{"from": 0, "to": 1, "pixels": 0, "confidence": None, "accuracy": None}]) is None


def test_neighbouring_curves_differ_in_colour_and_dashes() -> None:
    tree = parsed(curves("c", "x", "y", {str(k): [[0, k], [1, k]] for k in range(9)}))
    kinds = [(one.attrib["class"], one.attrib.get("stroke-dasharray")) for one in tree.iter("polyline")]
    assert len(set(kinds[: len(SERIES)])) == len(SERIES)


def test_long_curves_are_thinned_by_means() -> None:
    line = [(float(k), 2.0 * k) for k in range(1000)]
    short = thinned(line)
    assert len(short) == 334 <= POINTS
    assert short[0] == (1, 2)
    assert short[-1] == (999, 1998)
    assert thinned(line[:POINTS]) == line[:POINTS]


def test_a_histogram() -> None:
    tree = parsed(histogram("Images", "mean IoU", "images", [(0, 0.5, 1), (0.5, 1, 4)], ("median", 0.75)))
    low, high = by_class(tree, "fill")
    # 290 units across and 180 up; a gap of one unit between bars
    assert (low.attrib["x"], low.attrib["width"], low.attrib["height"]) == ("60.5", "144", "45")
    assert (high.attrib["x"], high.attrib["y"], high.attrib["height"]) == ("205.5", "10", "180")
    (mark,) = by_class(tree, "mark")
    assert mark.attrib["x1"] == "277.5"
    assert "median, 0.750" in "".join(tree.itertext())


def test_a_reliability_diagram_shows_the_gap() -> None:
    bins = [
        {"from": 0.0, "to": 0.5, "pixels": 0, "confidence": None, "accuracy": None},
        {"from": 0.5, "to": 1.0, "pixels": 10, "confidence": 0.8, "accuracy": 0.6},
    ]
    tree = parsed(reliability("As it is", bins))
    (filled,) = by_class(tree, "fill")
    (gap,) = by_class(tree, "gap")
    # 290 units up, from 300
    assert float(filled.attrib["y"]) == pytest.approx(300 - 174)
    assert float(gap.attrib["y"]) == pytest.approx(300 - 232)
    assert float(gap.attrib["height"]) == pytest.approx(58)
    (drawing,) = by_class(tree, "plot")
    assert drawing.attrib["aria-label"] == "As it is: confidence 0.80 accuracy 0.60"
