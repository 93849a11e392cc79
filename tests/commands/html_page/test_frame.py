"""The frame: what the head forbids, headings in order, the contents, and a style sheet that loads nothing.

Covers: commands.html_page.style.
"""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from seglight.commands.html_page.colors import SERIES
from seglight.commands.html_page.element import element
from seglight.commands.html_page.frame import POLICY, Section, page, write
from seglight.commands.html_page.style import DARK, LIGHT, STYLE
from tests.support.cards import HOSTILE

SECTIONS = [Section("First part", ["text"], "How to read it."), Section("Second: 2", [element("h3", "Below"), "more"])]


def tree_of(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


def test_the_head_forbids_everything_but_its_style_and_pictures() -> None:
    tree = tree_of(page("Title", [], SECTIONS))
    policies = [one.attrib["content"] for one in tree.iter("meta") if one.attrib.get("http-equiv")]
    assert policies == [POLICY]
    assert POLICY.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    head = [one.tag for one in tree.find("head") or ()]
    assert head.index("meta") < head.index("style"), "the policy comes before what it applies to"
    assert tree.attrib["lang"] == "en"


def test_the_contents_link_to_the_sections() -> None:
    tree = tree_of(page("Title", ["lead"], SECTIONS))
    links = [(one.attrib["href"], one.text) for one in tree.iter("a")]
    assert links == [("#s-first-part", "First part"), ("#s-second-2", "Second: 2")]
    assert [f"#{one.attrib['id']}" for one in tree.iter("section")] == [address for address, _ in links]


def test_headings_are_in_order() -> None:
    tree = tree_of(page("Title", [], SECTIONS))
    levels = [int(one.tag[1]) for one in tree.iter() if re.fullmatch(r"h\d", one.tag)]
    assert levels == [1, 2, 2, 3]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_title_is_text(name: str) -> None:
    tree = tree_of(page(name, [], [Section(name, [name], name)]))
    plain = tree_of(page("x", [], [Section("x", ["x"], "x")]))
    dropped = [one.tag for one in tree.iter() if one.tag != "p"]
    assert dropped == [one.tag for one in plain.iter() if one.tag != "p"]


def test_the_style_loads_nothing_and_ends_nowhere() -> None:
    assert not re.search(r"url\(|@import|<|&|expression|https?:", STYLE)
    assert STYLE.count("{") == STYLE.count("}")


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (WCAG 2.2, 1.4.3)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mixed(over: str, share: float, under: str) -> str:
    parts = [round(int(over[k : k + 2], 16) * share + int(under[k : k + 2], 16) * (1 - share)) for k in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize(("theme", "index"), [(LIGHT, 0), (DARK, 1)], ids=["light", "dark"])
def test_texts_and_curves_stand_out_from_the_page(theme: str, index: int) -> None:
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme))
    for paper in ("page", "surface"):
        for ink in ("ink", "muted", "accent", "good", "bad"):
            assert contrast(colors[ink], colors[paper]) >= 4.5, (ink, paper)
        for series in SERIES:
            assert contrast(series[index], colors[paper]) >= 3, (series, paper)
    heat = "#" + "".join(f"{int(part):02x}" for part in re.findall(r"--heat: (\d+), (\d+), (\d+)", theme)[0])
    step = float(re.findall(r"--heat-step: ([\d.]+)", theme)[0])
    assert contrast(colors["ink"], mixed(heat, 10 * step, colors["surface"])) >= 4.5


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    write(tmp_path / "page.html", "Title", [], SECTIONS)
    assert (tmp_path / "page.html").read_text("utf-8") == page("Title", [], SECTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
