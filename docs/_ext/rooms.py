"""The rooms of the package, from their docstrings."""

import ast

from tests.support.rooms import FILES, OPEN, ORDER, PACKAGES, TREES, room, summary, table


def room_table(_: str) -> str:
    """The rooms and the packages within them, as in CONTRIBUTING.md."""
    return table(nested=True)


def first_line(name: str) -> str:
    """The first paragraph of a module's docstring."""
    text = ast.get_docstring(TREES[name]) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def room_pages(_: str) -> str:
    """A section for each room: what it holds, and its files with the first sentence of each."""
    lines: list[str] = []
    for name in ORDER:
        below = ORDER[ORDER.index(name) + 1 :]
        lines += ["", f"### `{name}/`", "", summary(name)]
        lines += ["", f"It may import from {_listed(below)}." if below else "It imports from no other room."]
        lines += ["", "| file | what it holds |", "| --- | --- |"]
        files = sorted(file for file in FILES if room(file) == name and file not in PACKAGES)
        lines += [f"| `{file.replace('.', '/')}.py` | {first_line(file)} |" for file in files]
    lines += ["", "### Files at the root", "", "Every room may import from these two.", ""]
    lines += ["| file | what it holds |", "| --- | --- |"]
    lines += [f"| `{name}.py` | {first_line(name)} |" for name in OPEN]
    return "\n".join(lines)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
