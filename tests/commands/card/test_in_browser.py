"""The page of a card in Chromium: hostile names do nothing in it, and it fits a phone."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest

from seglight.commands.card.page import write_page
from seglight.commands.html_page.frame import POLICY
from tests.support.browser import CHROMIUM, WHY_SKIPPED, Browser, browser
from tests.support.cards import HOSTILE, card, names, write_pictures

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WHY_SKIPPED)

OVERFLOW = """
[...document.querySelectorAll('body *')].filter(node =>
  !node.closest('.scroll') && !node.closest('svg') && node.getBoundingClientRect().right > innerWidth + 0.5
).map(node => node.tagName + '.' + node.className)
"""

TOUCH = "document.querySelectorAll('a, div, img, th, td').forEach(node => { node.click(); node.focus() })"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def written(folder: Path, class_names: list[str], image_names: list[str]) -> Path:
    content = card(class_names, image_names)
    write_pictures(folder / "pictures", len(image_names))
    write_page(content, folder / "pictures", folder / "card.html")
    return folder / "card.html"


@pytest.mark.slow
def test_hostile_names_do_nothing(chromium: Browser, tmp_path: Path) -> None:
    page = written(tmp_path, list(HOSTILE), list(HOSTILE))
    chromium.open(page, 390)
    assert chromium.value("document.title").startswith("Quality card: ")
    chromium.value(
        "document.querySelectorAll('*').forEach(node => { node.click && node.click(); node.focus && node.focus() })"
    )
    assert chromium.value("window.hacked") is None
    assert chromium.value("document.scripts.length") == 0
    assert chromium.requests() == [page.resolve().as_uri()]
    assert chromium.complaints() == []
    assert chromium.value("location.href").split("#")[0] == page.resolve().as_uri(), "a link led elsewhere"


@pytest.mark.slow
@pytest.mark.parametrize("policy", [True, False])
def test_the_policy_stops_what_was_planted_afterwards(chromium: Browser, tmp_path: Path, policy: bool) -> None:
    """Without the policy the script runs and the request leaves; the test above would see both, and what is stopped."""
    page = written(tmp_path, names(3), ["a.png"])
    planted = "<script>window.hacked=1</script><img src='http://192.0.2.1/a.png' onerror='window.hacked=2'/>"
    text = page.read_text("utf-8").replace("<main>", f"<main>{planted}")
    page.write_text(text if policy else text.replace(escape(POLICY), ""), "utf-8")
    chromium.open(page, 390)
    assert (chromium.value("window.hacked") is None) == policy
    assert "http://192.0.2.1/a.png" in chromium.requests()
    reasons = [event["params"].get("blockedReason") for event in chromium.events]
    assert ("csp" in reasons) == policy
    assert any("Content Security Policy" in one for one in chromium.complaints()) == policy


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1400])
@pytest.mark.parametrize("kind", ["plain", "hostile"])
def test_nothing_is_wider_than_the_page(chromium: Browser, tmp_path: Path, width: int, kind: str) -> None:
    labels = list(HOSTILE) if kind == "hostile" else names(150)
    page = written(tmp_path, labels, labels[: len(HOSTILE)])
    chromium.open(page, width)
    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value(OVERFLOW) == []
    assert chromium.value("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
