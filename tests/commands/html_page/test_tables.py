"""Tables: headers of rows and columns, what is not defined, long names."""

from xml.etree import ElementTree

from seglight.commands.html_page.element import markup, text_of
from seglight.commands.html_page.numbers import NONE
from seglight.commands.html_page.tables import LONGEST, TALL, Column, facts, name, table


def test_rows_and_columns_have_headers() -> None:
    made = table("Scores.", [Column("class", "name"), Column("IoU")], [["road", "0.9"], ["sky", NONE]])
    tree = ElementTree.fromstring(markup(made))
    assert tree.attrib == {"class": "scroll", "role": "region", "aria-label": "Scores.", "tabindex": "0"}
    assert [cell.attrib["scope"] for cell in tree.iter("th")] == ["col", "col", "row", "row"]
    assert ["".join(cell.itertext()) for cell in tree.iter("caption")] == ["Scores."]
    assert next((cell.text, cell.attrib["class"]) for cell in tree.iter("td")) == ("0.9", "number")
    (dash,) = [one for one in tree.iter("span") if one.attrib.get("class") == "none"]
    assert (dash.text, dash.attrib["title"]) == (NONE, "not defined")


def test_a_long_table_scrolls_in_a_box() -> None:
    rows = [[f"row {k}"] for k in range(TALL + 1)]
    assert dict(table("Long.", [Column("a")], rows).attributes)["class"] == "scroll tall"
    assert dict(table("Short.", [Column("a")], rows[1:]).attributes)["class"] == "scroll"


def test_a_name_has_its_colour_and_a_long_one_is_cut() -> None:
    plain = name("road", (1, 2, 255))
    assert '<rect width="10" height="10" rx="2" fill="#0102ff">' in markup(plain)
    assert text_of(plain) == "road"
    long = name("x" * (LONGEST + 1))
    assert text_of(long) == "x" * (LONGEST - 1) + "…"
    assert dict(long.attributes)["title"] == "x" * (LONGEST + 1)
    assert text_of(name("")) == "(no name)"


def test_facts_are_a_list_of_terms() -> None:
    assert markup(facts([("Date", "today")])) == "<dl><div><dt>Date</dt><dd>today</dd></div></dl>"
