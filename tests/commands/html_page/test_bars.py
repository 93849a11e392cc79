"""Bars and differences, at places counted by hand."""

import math
from xml.etree import ElementTree

import pytest

from seglight.commands.html_page.bars import bar, difference, forest
from seglight.commands.html_page.element import Element, markup, text_of
from seglight.commands.html_page.numbers import NONE


def parsed(made: Element | None) -> ElementTree.Element:
    assert made is not None
    return ElementTree.fromstring(markup(made))


def test_a_bar_with_its_interval() -> None:
    tree = parsed(bar(0.25, (0.2, 0.4), highest=0.5))
    track, fill = tree.iter("rect")
    assert (track.attrib["width"], fill.attrib["width"]) == ("100", "50")
    across, left, right = tree.iter("line")
    assert (across.attrib["x1"], across.attrib["x2"]) == ("40", "80")
    assert (left.attrib["x1"], right.attrib["x1"]) == ("40", "80")


@pytest.mark.parametrize("value", [None, math.nan, "0.5"])
def test_what_is_not_defined_has_no_bar(value: object) -> None:
    assert bar(value) is None
    assert difference(value, None, 1.0) is None


def test_bars_do_not_leave_their_cell() -> None:
    widths = [list(parsed(bar(value)).iter("rect"))[1].attrib["width"] for value in (-0.5, 1.5)]
    assert widths == ["0", "100"]


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [((0.01, 0.05), "better"), ((-0.05, -0.01), "worse"), ((-0.01, 0.05), None), (None, None), ((None, 0.1), None)],
)
def test_only_a_difference_whose_interval_excludes_0_is_coloured(bounds: tuple[float, float], kind: str | None) -> None:
    (group,) = parsed(difference(0.02, bounds, 0.1)).iter("g")
    assert group.attrib.get("class") == kind


def test_a_difference_stands_at_its_place() -> None:
    zero, across, dot = parsed(difference(-0.05, (-0.1, 0.02), 0.1)).iter("line")
    assert zero.attrib["x1"] == "0"
    assert (across.attrib["x1"], across.attrib["x2"]) == ("-100", "20")
    assert dot.attrib["x1"] == "-50"


def test_a_forest_plot_has_one_scale_and_all_numbers() -> None:
    rows = [("road", 0.02, (0.01, 0.04)), ("sky", -0.01, (-0.03, 0.0)), ("car", None, None)]
    tree = parsed(forest("B against A.", "class", rows))
    heads = ["".join(cell.itertext()) for cell in tree.iter("th")]
    assert heads[:4] == ["class", "drawn from \N{MINUS SIGN}0.04 to +0.04", "difference", "95 % interval"]
    cells = ["".join(cell.itertext()) for cell in tree.iter("td")]
    minus = "\N{MINUS SIGN}"
    assert cells == [
        "",
        "+0.020",
        "+0.010 to +0.040",
        "",
        f"{minus}0.010",
        f"{minus}0.030 to +0.000",
        "",
        NONE,
        NONE,
    ]
    dots = [one.attrib["x1"] for one in tree.iter("line") if one.attrib["class"] == "dot"]
    assert dots == ["50", "-25"]
    assert text_of(forest("None.", "class", []))
