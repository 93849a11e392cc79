"""The rooms as a test: who may import whom, and the house rules that ruff does not know."""

import ast
from collections.abc import Iterator

import pytest

from tests.support import rooms
from tests.support.rooms import FILES, MODULES, ORDER, PACKAGES, PROJECT, ROOT, TREES, resolve

LONG: dict[str, str] = {}
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


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_point_down(name: str) -> None:
    assert not rooms.against_the_order(name), f"{name} imports from rooms above its own"


def test_no_import_cycle_between_files() -> None:
    assert not rooms.cycles()


def test_commands_import_no_other_command() -> None:
    """But the parts of a recipe; a sweep starts `fit`, and `fit` looks at its data as `doctor` does."""
    found = {
        (name.split(".")[1], other.split(".")[1])
        for name in MODULES
        if name.startswith("commands.")
        for other in rooms.imports(name)
        if other.startswith("commands.")
    }
    between = {(a, b) for a, b in found if a != b and b != "recipe"}
    assert between == {("sweep", "fit"), ("fit", "doctor")}


@pytest.mark.parametrize("page", rooms.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_docstrings(page: object) -> None:
    text = (PROJECT / str(page)).read_text("utf-8")
    assert rooms.BEGIN in text
    assert rooms.with_table(text) == text, "run python -m tests.support.rooms --write"


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_packages_only_re_export(name: str) -> None:
    for node in TREES[name].body:
        doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        listing = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
        lazy = "lazy_loader" in ast.unparse(node)
        assert doc or listing or lazy or isinstance(node, ast.ImportFrom), ast.unparse(node)


@pytest.mark.parametrize("name", FILES)
def test_files_of_more_than_350_lines_have_a_reason(name: str) -> None:
    assert (len(FILES[name].read_text("utf-8").splitlines()) > 350) == (name in LONG)


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public classes, functions and methods, not what stands inside a function."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("name", FILES)
def test_public_things_have_docstrings(name: str) -> None:
    assert ast.get_docstring(TREES[name]), "the file itself"
    assert not [node.name for node in public(TREES[name].body) if not ast.get_docstring(node)]


@pytest.mark.parametrize("name", MODULES)
def test_constructors_have_at_most_12_arguments(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            assert len(node.args.args) + len(node.args.kwonlyargs) - 1 <= 12, f"line {node.lineno}"
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
            assert sum(isinstance(field, ast.AnnAssign) for field in node.body) <= 12, node.name
