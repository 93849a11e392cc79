"""Elements of HTML and SVG, from which pages are built.

Text is escaped where an element is written, and there is no element for text that is not: names of classes and files
can hold anything. Tags and attributes are checked against lists without scripts, handlers, styles and addresses.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias, Union

from seglight.system.escaping import html

Child: TypeAlias = Union["Element", str, Sequence["Child"], None]
"""Content of an element: another one, text, nothing, or a sequence of these."""

VOID = frozenset(("br", "img", "meta"))
"""Elements without content."""

TAGS = VOID | {
    "a", "article", "b", "bdi", "body", "caption", "circle", "code", "dd", "div", "dl", "dt", "figcaption", "figure",
    "footer", "g", "h1", "h2", "h3", "h4", "head", "header", "html", "i", "li", "line", "main", "nav", "ol", "p",
    "path", "polygon", "polyline", "pre", "rect", "section", "small", "span", "strong", "sub", "sup", "svg", "table",
    "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip

ATTRIBUTES = frozenset((
    "alt", "aria-hidden", "aria-label", "charset", "class", "colspan", "content", "cx", "cy", "d", "dir", "fill",
    "height", "href", "http-equiv", "id", "lang", "name", "points", "preserveAspectRatio", "r", "role", "rx", "scope",
    "src", "stroke-dasharray", "tabindex", "text-anchor", "title", "transform", "viewBox", "width", "x", "x1", "x2",
    "y", "y1", "y2",
))  # fmt: skip

PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]*={0,2}")
"""Values of `src`."""

ANCHOR = re.compile(r"#[a-z][a-z0-9-]*")
"""Values of `href`: places on the page itself."""


class Element(NamedTuple):
    """An element; `element` makes it.

    Args:
        tag: Name, such as "p".
        attributes: Names and values that are not escaped yet.
        children: Elements, and texts that are not escaped yet.
    """

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: "tuple[Element | str, ...]"


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """Make an element.

    Args:
        tag: One of `TAGS`.
        *children: Content. Text is escaped; nested sequences are joined; None is left out.
        **attributes: Those of `ATTRIBUTES`, with `_` for `-`, and `class_` for `class`. One that is None is left out.

    Raises:
        ValueError: The tag or an attribute is not in the lists, or an address is neither a picture nor on the page.
    """
    if tag not in TAGS:
        raise ValueError(f"<{tag}> is not an element of pages")
    kept = []
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is None:
            continue
        text = value if isinstance(value, str) else f"{value:.6g}"
        _check(name, text)
        kept.append((name, text))
    return Element(tag, tuple(kept), tuple(_flat(children)))


def markup(node: Element) -> str:
    """HTML of an element, which is well-formed XML, too."""
    parts: list[str] = []
    _write(node, parts)
    return "".join(parts)


def text_of(child: Child) -> str:
    """Text of an element or of several, as a reader sees it."""
    return "".join(node if isinstance(node, str) else text_of(node.children) for node in _flat([child]))


def _check(name: str, value: str) -> None:
    if name not in ATTRIBUTES:
        raise ValueError(f"{name} is not an attribute of pages")
    if name == "src" and not PICTURE.fullmatch(value):
        raise ValueError("src is not an embedded picture")
    if name == "href" and not ANCHOR.fullmatch(value):
        raise ValueError("href is not a place on the page")


def _flat(children: Sequence[Child]) -> "Iterator[Element | str]":
    for child in children:
        if isinstance(child, Element | str):
            yield child
        elif child is not None:
            yield from _flat(child)


def _write(node: Element, parts: list[str]) -> None:
    attributes = "".join(f' {name}="{html(value)}"' for name, value in node.attributes)
    if node.tag in VOID:
        parts.append(f"<{node.tag}{attributes}/>")
        return
    parts.append(f"<{node.tag}{attributes}>")
    for child in node.children:
        if isinstance(child, str):
            parts.append(html(child))
        else:
            _write(child, parts)
    parts.append(f"</{node.tag}>")
