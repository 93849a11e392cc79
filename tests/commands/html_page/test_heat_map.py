"""Heat maps: the level of a colour, and a confusion matrix."""

from xml.etree import ElementTree

import pytest

from seglight.commands.html_page.element import markup
from seglight.commands.html_page.heat_map import heat_map, level
from seglight.commands.html_page.numbers import count


@pytest.mark.parametrize(
    ("value", "highest", "wanted"),
    [(0, 1, 0), (0.04, 1, 0), (0.06, 1, 1), (0.5, 1, 5), (1, 1, 10), (3, 1, 10), (1, 0, 0)],
)
def test_the_level_of_a_value(value: float, highest: float, wanted: int) -> None:
    assert level(value, highest) == wanted


def test_a_confusion_matrix() -> None:
    made = heat_map("Pixels.", "true", ["road", "sky"], [("road", [90, 10]), ("sky", [None, 50])], 100, count)
    tree = ElementTree.fromstring(markup(made))
    cells = [("".join(cell.itertext()), cell.attrib.get("class")) for cell in tree.iter("td")]
    assert cells == [("90", "heat-9"), ("10", "heat-1"), ("\N{EN DASH}", None), ("50", "heat-5")]
    assert [cell.attrib["scope"] for cell in tree.iter("th")] == ["col", "col", "col", "row", "row"]
