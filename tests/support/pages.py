"""Pages of the manual as their tests read them: fenced blocks, command lines, links, anchors."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference" / "commands"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != GENERATED),
]
FENCE = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
SEGLIGHT = re.compile(r"(?:\S*python3? -m )?seglight (?!: )(.*)")


class Block(NamedTuple):
    """A fenced block: its language or directive, its text, and its first line."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    text = page.read_text("utf-8")
    return [Block(found[3].strip(), found[4], text[: found.start()].count("\n") + 1) for found in FENCE.finditer(text)]


def command_lines(page: Path) -> Iterator[str]:
    """Command lines in the blocks of commands, continued lines joined, and without comments."""
    for block in blocks(page):
        if block.language in ("", "bash", "console"):
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                for part in line.removeprefix("$ ").split(" && "):
                    if shlex.split(part, comments=True):
                        yield shlex.join(shlex.split(part, comments=True))


def seglight_arguments(line: str) -> list[str] | None:
    """Arguments of `seglight` in a command line; None: it is another program."""
    found = SEGLIGHT.fullmatch(line)
    return shlex.split(found[1]) if found else None


def anchor(heading: str) -> str:
    """Anchor of a heading, as GitHub and MyST make it."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return {anchor(found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page that point to no other site."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if not re.match(r"\w+:", target)]
