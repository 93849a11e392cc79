"""YAML with a comment beside each choice."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from seglight.errors import terminal

WIDTH = 120
"""Longest line with a comment behind it; longer comments come before their line."""

FLOW = 120
"""Longest line of a class or list in one line."""


def commented_yaml(content: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Write nested values as YAML.

    Args:
        content: Dicts, lists and plain values.
        comments: Comment of each key that has one, by its dotted key; items of lists count from 0. Control characters
            in them, such as a line end in the name of a class, are written as escape sequences.
    """
    visible = {key: terminal(comment) for key, comment in comments.items()}
    return "\n".join(_mapping(content, visible, "", 0)) + "\n"


def _mapping(content: Mapping[str, Any], comments: Mapping[str, str], key: str, indent: int) -> list[str]:
    lines: list[str] = []
    for name, value in content.items():
        lines += _entry(f"{name}:", value, comments, f"{key}.{name}".strip("."), indent)
    return lines


def _entry(head: str, value: Any, comments: Mapping[str, str], key: str, indent: int) -> list[str]:
    """Lines of a key or of a list's dash with its value."""
    comment = comments.get(key)
    flow = f"{' ' * indent}{head} {_flow(value)}"
    below = any(other.startswith(f"{key}.") for other in comments)
    plain = not isinstance(value, Mapping | Sequence) or isinstance(value, str)
    short = len(flow) <= FLOW and indent > 0
    if plain or not value or (short and not below) or _is_flat_list(value):
        return _with_comment(flow, comment, indent)
    if head == "-" and isinstance(value, Mapping):
        lines = _mapping(value, comments, key, indent + 2)
        first = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("#"))
        lines[first] = f"{' ' * indent}- {lines[first].lstrip()}"
        return [*_before(comment, indent), *lines]
    lines = _with_comment(f"{' ' * indent}{head}", comment, indent)
    if isinstance(value, Mapping):
        return lines + _mapping(value, comments, key, indent + 2)
    for place, item in enumerate(value):
        lines += _entry("-", item, comments, f"{key}.{place}", indent + 2)
    return lines


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not any(isinstance(item, Mapping) for item in value)


def _with_comment(line: str, comment: str | None, indent: int) -> list[str]:
    if comment is None:
        return [line]
    beside = f"{line} # {comment}"
    return [beside] if len(beside) <= WIDTH else [*_before(comment, indent), line]


def _before(comment: str | None, indent: int) -> list[str]:
    if comment is None:
        return []
    start = f"{' ' * indent}# "
    return textwrap.wrap(comment, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1_000_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
