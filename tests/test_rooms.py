"""The rooms as a test: who may import whom, and the house rules that ruff does not know."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import rooms
from tests.support.rooms import FILES, MODULES, ORDER, PACKAGES, ROOT, TREES, resolve

LONG: dict[str, str] = {
    "interfaces": "the types that all rooms share, each of which names others; no room may own them",
}
"""Files of more than 350 lines, and why each of them is one file."""


def test_the_resolver_sees_re_exports() -> None:
    assert resolve("seglight.metrics", "Scores") == "metrics.scores"
    assert resolve("seglight.ops", "confusion") == "ops.confusion"
    assert resolve("seglight.losses.cross_entropy", "CrossEntropy") == "losses.cross_entropy"
    assert resolve("seglight.data", "VOCDataModule") == "data.datasets.voc"
    assert {"losses.banded_loss", "losses.band_pass"} <= set(rooms.imports("losses.cross_entropy"))


def test_the_root_holds_the_rooms_and_four_files() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ORDER)
    assert {path.name for path in ROOT.glob("*.py")} == rooms.AT_THE_ROOT


def test_imports_point_down() -> None:
    wrong = {name: rooms.against_the_order(name) for name in FILES}
    assert not {name: others for name, others in wrong.items() if others}


def test_no_import_cycle_between_files() -> None:
    assert not rooms.cycles()


def test_commands_import_no_other_command() -> None:
    """But executors, parts of recipes and pages; two commands use `fit`, three look at their data as `doctor` does."""
    found = {
        (name.split(".")[1], other.split(".")[1])
        for name in MODULES
        if name.startswith("commands.")
        for other in rooms.imports(name)
        if other.startswith("commands.")
    }
    between = {(a, b) for a, b in found if a != b and b not in ("executors", "html_page", "recipe")}
    assert between == {("sweep", "fit"), ("compare", "fit"), ("card", "doctor"), ("fit", "doctor"), ("init", "doctor")}


@pytest.mark.parametrize("page", rooms.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_docstrings(page: Path) -> None:
    text = page.read_text("utf-8")
    assert rooms.BEGIN in text
    assert rooms.with_table(page) == text, "run python -m tests.support.rooms --write"


def test_packages_only_re_export() -> None:
    wrong = []
    for name in sorted(PACKAGES):
        for node in TREES[name].body:
            doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            listing = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
            lazy = "lazy_loader" in ast.unparse(node)
            if not (doc or listing or lazy or isinstance(node, ast.ImportFrom)):
                wrong.append(f"{name}: {ast.unparse(node)}")
    assert not wrong


def test_files_of_more_than_350_lines_have_a_reason() -> None:
    assert {name for name, path in FILES.items() if len(path.read_text("utf-8").splitlines()) > 350} == set(LONG)


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public classes, functions and methods, not what stands inside a function."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_public_things_have_docstrings() -> None:
    wrong = [name for name in FILES if not ast.get_docstring(TREES[name])]
    for name in FILES:
        wrong += [f"{name}.{node.name}" for node in public(TREES[name].body) if not ast.get_docstring(node)]
    assert not wrong


def test_constructors_have_at_most_14_arguments() -> None:
    wrong = []
    for name in MODULES:
        for node in ast.walk(TREES[name]):
            arguments = 0
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                arguments = len(node.args.args) + len(node.args.kwonlyargs) - 1
            if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                arguments = sum(isinstance(field, ast.AnnAssign) for field in node.body)
            if arguments > 14:  # SegmentationModule has one for each key of `model` in a recipe
                wrong.append(f"{name}: {ast.unparse(node).splitlines()[0]}")
    assert not wrong


TESTS = {path: path.read_text("utf-8") for path in Path(__file__).parent.rglob("test_*.py")}
HELPERS = ("support", "fuzz", "compatibility")


def test_each_file_has_a_test_file_of_its_name_or_a_line_that_says_which_covers_it() -> None:
    covered = set()
    for text in TESTS.values():
        found = re.search(r"Covers: (.*?)\.\n?(?:\n|$)", ast.get_docstring(ast.parse(text)) or "", re.DOTALL)
        covered |= set(found[1].replace("\n", " ").replace(" ", "").split(",")) if found else set()
    here = Path(__file__).parent
    mirrored = {
        name for name in MODULES if (here / Path(*name.split(".")).with_name(f"test_{name.split('.')[-1]}.py")) in TESTS
    }
    assert set(MODULES) - mirrored - covered == {"__main__"}
    assert not covered & mirrored, "these have a test file of their own name"
    assert not covered - set(MODULES), "these are no files"


def test_no_test_file_imports_another_one() -> None:
    pattern = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    assert not {path.name: pattern.findall(text) for path, text in TESTS.items() if pattern.search(text)}
    folders = {
        path.parent.relative_to(Path(__file__).parent).parts[0]
        for path in TESTS
        if path.parent != Path(__file__).parent
    }
    assert folders <= {*ORDER, "docs", "end_to_end", "distributed", "parity", *HELPERS}
