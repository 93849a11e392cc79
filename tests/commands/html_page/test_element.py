"""Elements: text that is always escaped, and nothing that acts."""

from xml.etree import ElementTree

import pytest

from seglight.commands.html_page.element import element, markup, text_of
from tests.support.cards import HOSTILE


def test_an_element_by_hand() -> None:
    made = element("p", "a < b & ", element("strong", "c"), None, [" d", [element("br")]], class_="x y", id=None)
    assert markup(made) == '<p class="x y">a &lt; b &amp; <strong>c</strong> d<br/></p>'
    assert text_of(made) == "a < b & c d"


def test_numbers_of_attributes_have_six_digits() -> None:
    assert markup(element("line", x1=1 / 3, y1=12, stroke_dasharray="4 4")) == (
        '<line x1="0.333333" y1="12" stroke-dasharray="4 4"></line>'
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_is_text_in_an_element_and_in_an_attribute(name: str) -> None:
    tree = ElementTree.fromstring(markup(element("p", name, title=name)))
    assert [node.tag for node in tree.iter()] == ["p"]
    assert set(tree.attrib) == {"title"}
    assert set("<>&'\"") & set(name) <= set(tree.text or "")
    assert "\u202e" not in (tree.text or "")


@pytest.mark.parametrize("tag", ["script", "style", "iframe", "object", "link", "base", "form", "foreignObject", "use"])
def test_elements_that_act_or_load_are_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="not an element"):
        element(tag)


@pytest.mark.parametrize("attribute", ["onload", "onclick", "style", "srcset", "action", "ping", "xlink:href"])
def test_attributes_that_act_or_load_are_refused(attribute: str) -> None:
    with pytest.raises(ValueError, match="not an attribute"):
        element("p", **{attribute: "x"})


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("href", "javascript:alert(1)"),
        ("href", "http://192.0.2.1"),
        ("href", "page.html"),
        ("src", "picture.png"),
        ("src", "data:text/html;base64,PHNjcmlwdD4="),
        ("src", "data:image/svg+xml;base64,PHN2Zz4="),
        ("src", 'data:image/png;base64,AAAA" onload="'),
    ],
)
def test_addresses_outside_the_page_are_refused(attribute: str, value: str) -> None:
    with pytest.raises(ValueError, match=attribute):
        element("a", **{attribute: value})
