"""The frame of a page: its head, contents, sections and foot."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight import __version__
from seglight.commands.html_page.element import Child, Element, element, markup
from seglight.commands.html_page.style import STYLE
from seglight.system.atomic import atomic_write

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy: the page may use its own style and the pictures in it, and nothing else."""


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Args:
        title: Heading, unique on the page.
        content: What stands below it.
        about: One or two sentences on how to read it.
    """

    title: str
    content: Sequence[Child]
    about: str = ""

    @property
    def anchor(self) -> str:
        """Place on the page, for links."""
        return "s-" + (re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section")


def page(title: str, lead: Sequence[Child], sections: Sequence[Section]) -> str:
    """HTML of a whole page.

    Args:
        title: Title and first heading.
        lead: What stands above the first section.
        sections: Sections in their order.
    """
    links = [element("li", element("a", one.title, href=f"#{one.anchor}")) for one in sections]
    body = element(
        "body",
        element("header", element("h1", title), *lead),
        element("nav", element("ul", links), aria_label="Contents"),
        element("main", [_section(one) for one in sections]),
        element(
            "footer", element("p", f"Written by seglight {__version__}. This page loads nothing and runs nothing.")
        ),
    )
    text = markup(element("html", _head(title), body, lang="en"))
    # the first <style> is in the head: the texts of a page cannot contain one
    return "<!DOCTYPE html>\n" + text.replace("</title>", f"</title><style>{STYLE}</style>", 1) + "\n"


def write(path: Path, title: str, lead: Sequence[Child], sections: Sequence[Section]) -> None:
    """Write a whole page as a file; the arguments are those of `page`."""
    atomic_write(path, page(title, lead, sections))


def _head(title: str) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
    )


def _section(one: Section) -> Element:
    about = element("p", one.about, class_="about") if one.about else None
    return element("section", element("h2", one.title), about, *one.content, id=one.anchor)
