"""Public names of the rooms, with their docstrings."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx

RST = """```{{eval-rst}}
{0}
```"""


def names_of(module: str) -> list[str]:
    """The names that a room re-exports; of a module, the public classes and functions that it defines."""
    room = import_module(module)
    if exported := getattr(room, "__all__", None):
        return sorted(exported, key=str.lower)
    defined = (name for name, value in vars(room).items() if getattr(value, "__module__", None) == module)
    return [name for name in defined if not name.startswith("_") and _documented(vars(room)[name])]


def _documented(value: object) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


WITH_A_PAGE = ("seglight.training.methods",)
"""Rooms within a room that have a page of their own, where the names that the outer one re-exports are described."""


def public_names(module: str) -> str:
    """A table of the public names, then each with its arguments, as autodoc writes them."""
    room = import_module(module)
    inner = tuple(f"{other}." for other in WITH_A_PAGE if other != module)
    names = [
        name for name in names_of(module) if not str(getattr(getattr(room, name), "__module__", "")).startswith(inner)
    ]
    lines = [f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
    paths = {name: module if _documented(getattr(room, name)) else _defined_in(module, name) for name in names}
    lines += [f"   {name}" for name, path in paths.items() if path == module]
    lines += [f"   ~{path}.{name}".replace(f"{module}.", "") for name, path in paths.items() if path != module]
    for name, path in paths.items():
        value = getattr(room, name)
        kind = "class" if inspect.isclass(value) else "function" if inspect.isfunction(value) else "data"
        lines += ["", f".. auto{kind}:: {path}.{name}"]
        lines += ["   :members:"] if kind == "class" else []
    return RST.format("\n".join(lines))


def _defined_in(module: str, name: str) -> str:
    """The module that a room re-exports a constant from: only there does autodoc find the words below it."""
    stub = Path(str(import_module(module).__file__)).with_suffix(".pyi")
    for node in ast.parse(stub.read_text("utf-8")).body if stub.exists() else ():
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return f"{module}.{node.module}"
    return module


def types_of(paths: str) -> str:
    """Classes by their full names, each with its fields."""
    lines: list[str] = []
    for path in paths.split():
        lines += [f".. autoclass:: {path}", ""]
    return RST.format("\n".join(lines))


ATTRIBUTES: dict[str, list[str]] = {}


def keep_attribute(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep the docstring of an attribute: napoleon reads the words before its first colon as a type."""
    if what in ("attribute", "data", "property"):
        ATTRIBUTES[name] = list(lines)


def restore_attribute(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Restore the docstring of an attribute as it was before napoleon."""
    if name in ATTRIBUTES:
        lines[:] = ATTRIBUTES.pop(name)


def mark_returns(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Write the section "Returns" as a field: napoleon reads the words before its first colon as a type."""
    for index, line in enumerate(lines[:-1]):
        if line in ("Returns:", "Yields:"):
            lines[index : index + 2] = [f":returns: {lines[index + 1].strip()}"]


def mark_code(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Mark an indented block after a paragraph as code, which docstrings that are read as text need not do."""
    index = 1
    while index < len(lines):
        after_paragraph = not lines[index - 1] and index > 1 and lines[index - 2] and lines[index - 2][0] != " "
        if lines[index].startswith("    ") and after_paragraph and not lines[index - 2].endswith("::"):
            lines[index:index] = ["::", ""]
            index += 2
        index += 1


def skip_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Skip fields of named tuples that only have the docstring of Python; their class describes them."""
    return True if (inspect.getdoc(obj) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the functions above; napoleon's has the priority 500."""
    for function, priority in ((mark_code, 400), (mark_returns, 400), (keep_attribute, 400), (restore_attribute, 600)):
        app.connect("autodoc-process-docstring", function, priority=priority)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True}
