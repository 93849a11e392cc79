"""The rooms of the package: their order, the imports between them, the tables generated from their docstrings.

python -m tests.support.rooms            print the figures
python -m tests.support.rooms --write    write the tables of README.md and CONTRIBUTING.md anew
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import seglight

ROOT = Path(seglight.__file__).parent
PROJECT = ROOT.parent

ORDER = (
    "commands", "callbacks", "training", "robustness", "inference", "losses", "models", "checkpoints", "data",
    "metrics", "images", "optim", "system", "ops",
)  # fmt: skip
"""A room imports from rooms to its right and from itself; `errors` and `interfaces` are open to all of them."""

OPEN = ("errors", "interfaces")
AT_THE_ROOT = {"__init__.py", "__main__.py", "errors.py", "interfaces.py"}

FILES = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in ROOT.rglob("*.py")}
PACKAGES = {name for name in FILES if name.rpartition(".")[2] == "__init__"}
MODULES = sorted(FILES.keys() - PACKAGES)
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}
STUBS = {
    path.parent.relative_to(ROOT).as_posix().replace("/", "."): ast.parse(path.read_text("utf-8"))
    for path in ROOT.rglob("__init__.pyi")
}
"""Of the packages that import what they are asked for only when they are, what they re-export."""

BEGIN, END = "<!-- rooms: begin -->", "<!-- rooms: end -->"


def room(name: str) -> str:
    """The room of a file, such as `data.datasets.voc`; of a file at the root, its own name."""
    return name.split(".")[0]


def resolve(module: str, name: str | None) -> str:
    """The file that an import reads from; a package stands for the file that it re-exports from."""
    path = module.removeprefix("seglight").removeprefix(".")
    if path in MODULES:
        return path
    if f"{path}.{name}".strip(".") in MODULES:
        return f"{path}.{name}".strip(".")
    if not path:
        return "__init__"
    for node in STUBS.get(path, TREES[f"{path}.__init__"]).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return resolve(str(node.module) if node.level == 0 else f"{path}.{node.module}", name)
    raise AssertionError(f"seglight.{path} has no {name}")


def imports(name: str) -> Iterator[str]:
    """The files of seglight that a file imports from, anywhere in it."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (resolve(alias.name, None) for alias in node.names if alias.name.split(".")[0] == "seglight")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            if (node.module or "").split(".")[0] == "seglight":
                yield from (resolve(str(node.module), alias.name) for alias in node.names)


def against_the_order(name: str) -> list[str]:
    """What a file imports from rooms that stand above its own."""
    own = room(name)
    if own == "__main__":
        return []
    at_the_root = {"__init__": {"system"}, "interfaces": {"images", "ops"}}
    allowed = {own, *ORDER[ORDER.index(own) :]} if own in ORDER else at_the_root.get(own, set())
    return sorted({other for other in imports(name) if room(other) not in {*allowed, *OPEN, "__init__"}})


def cycles() -> list[list[str]]:
    """Import cycles between files: strongly connected groups, by Tarjan's algorithm."""
    graph = {name: sorted(set(imports(name)) - {name}) for name in FILES}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def summary(package: str) -> str:
    """The first paragraph of a package's docstring, on one line."""
    text = ast.get_docstring(TREES[f"{package}.__init__"]) or ""
    return " ".join(text.split("\n\n")[0].split())


def table(nested: bool) -> str:
    """The rooms in their order, and if `nested` the packages within them, as a table of Markdown."""
    rows = ["| room | what it holds |", "| --- | --- |"]
    for name in ORDER:
        rows.append(f"| `{name}/` | {summary(name)} |")
        within = sorted(
            p.removesuffix(".__init__")
            for p in PACKAGES
            if nested and p.startswith(f"{name}.") and p != f"{name}.__init__"
        )
        rows += [f"| &nbsp;&nbsp;`{package.replace('.', '/')}/` | {summary(package)} |" for package in within]
    for name in OPEN:
        text = ast.get_docstring(TREES[name]) or ""
        rows.append(f"| `{name}.py` | {' '.join(text.split(chr(10) * 2)[0].split())} |")
    return "\n".join(rows)


PAGES = {PROJECT / "README.md": False, PROJECT / "CONTRIBUTING.md": True}
"""Pages with a table of rooms, and whether it names the packages within the rooms."""


def with_table(page: Path) -> str:
    """Text of a page with its table made anew."""
    made = f"{BEGIN}\n{table(PAGES[page])}\n{END}"
    return re.sub(f"(?s){BEGIN}.*?{END}", lambda _: made, page.read_text("utf-8"))


def main() -> None:
    """Print the figures, or write the tables."""
    if "--write" in sys.argv:
        for page in PAGES:
            page.write_text(with_table(page), "utf-8")
        return
    wrong = {name: against_the_order(name) for name in FILES}
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    lines = sorted((len(path.read_text("utf-8").splitlines()) for path in FILES.values()), reverse=True)
    sys.stdout.write(
        f"rooms at the root: {len(rooms)} ({', '.join(rooms)})\n"
        f"files at the root: {len(list(ROOT.glob('*.py')))}\n"
        f"import cycles between files: {len(cycles())}\n"
        f"imports against the order: {sum(map(len, wrong.values()))}\n"
        f"files: {len(FILES)}, lines: {sum(lines)}, longest: {lines[0]}, over 350: {sum(n > 350 for n in lines)}\n"
    )


if __name__ == "__main__":
    main()
