"""Classes as their source describes them, arguments and docstrings, without importing them: `--help` answers at once.

Only names are followed that an import or a class statement at the top of a file binds, as in all files of seglight.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
HEADING = re.compile(r"^(Args|Raises|Attributes|Returns|Yields|Example|Note|Shape):\s*$")


class Parameter(NamedTuple):
    """An argument of a class.

    Attributes:
        name: Its name.
        kind: Its type, as it is annotated.
        default: Its default value as in the source, or None if it has to be given.
        about: Its description in the docstring, on one line.
    """

    name: str
    kind: str
    default: str | None
    about: str


class Signature(NamedTuple):
    """A class and its arguments.

    Attributes:
        path: Import path, such as "seglight.losses.Dice".
        about: Paragraphs of the docstring in front of the arguments.
        module: Paragraphs of the docstring of its file.
        parameters: Arguments by name, in their order; those of base classes too where the class passes them on.
    """

    path: str
    about: tuple[str, ...]
    module: tuple[str, ...]
    parameters: dict[str, Parameter]


class _Class(NamedTuple):
    """A class statement and the file that it is in."""

    module: str
    node: ast.ClassDef


def exports(package: str) -> list[str]:
    """The classes that a package of seglight exports, by name.

    Args:
        package: Import path, such as "seglight.losses".
    """
    names = _imported(package)
    return sorted((name for name in names if name[0].isupper()), key=str.lower)


def signature(path: str) -> Signature:
    """The arguments of a class of seglight, or of another package that has its class in a file of Python.

    Args:
        path: Import path of the class; a package may re-export it.

    Raises:
        LookupError: There is no such class.
    """
    module, _, name = path.rpartition(".")
    found = _found(module, name)
    if found is None:
        raise LookupError(path)
    about, described = docstring(ast.get_docstring(found.node) or _assigned_docstring(found))
    parameters = {}
    for parameter in _parameters(found):
        text = described.get(parameter.name) or parameter.about
        parameters[parameter.name] = parameter._replace(about=text)
    tree = _tree(found.module)
    around, _ = docstring((tree and ast.get_docstring(tree)) or "")
    return Signature(path, about, around, parameters)


def is_complete(path: str) -> bool:
    """Whether `signature` knows all arguments of a class: none is passed on to a class that is not of seglight.

    Args:
        path: Import path of the class.
    """
    module, _, name = path.rpartition(".")
    found = _found(module, name) if name else None
    return found is not None and _is_complete(found)


def derives(path: str, base: str) -> bool:
    """Whether a class of seglight has a base class of a name, itself excluded.

    Args:
        path: Import path of the class.
        base: Name of the base class, without its module.
    """
    module, _, name = path.rpartition(".")
    found = _found(module, name)
    above = list(found.node.bases) if found is not None else []
    return any(ast.unparse(each).rpartition(".")[2] == base for each in above) or any(
        derives(f"{each.module}.{each.node.name}", base) for each in (_bases(found) if found is not None else ())
    )


def docstring(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The paragraphs in front of the first section, each on one line, and the arguments by name.

    Indented lines, which are code, stay lines of their own.
    """
    head: list[str] = []
    arguments: dict[str, list[str]] = {}
    section = ""
    name = ""
    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading:
            section = heading[1]
        elif not section:
            head.append(line)
        elif section == "Args":
            item = re.match(r"^    \*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)$", line)
            if item:
                name = item[1]
                arguments[name] = [item[2]]
            elif name and line.strip():
                arguments[name].append(line.strip())
    about = [_paragraph(part) for part in re.split(r"\n(?:[ \t]*\n)+", "\n".join(head).strip("\n"))]
    return tuple(filter(None, about)), {name: " ".join(lines).strip() for name, lines in arguments.items()}


def _paragraph(text: str) -> str:
    if text.startswith(" "):
        return text.rstrip()
    return " ".join(text.split())


@cache
def _tree(module: str) -> ast.Module | None:
    """The source of a module; of a package that has a stub, the stub, which names what it re-exports."""
    first, *rest = module.split(".")
    if first == "seglight":
        root: Path | None = PACKAGE
    else:
        spec = find_spec(first)  # of the outermost package alone, since it would import those around a module
        root = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if root is None:
        return None
    place = root.joinpath(*rest)
    for path in (place / "__init__.pyi", place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return ast.parse(path.read_text(encoding="utf-8"))
    return None


@cache
def _imported(module: str) -> dict[str, tuple[str, str]]:
    """Names that a module imports from others: module and name there."""
    found = {}
    tree = _tree(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ImportFrom):
            source = str(node.module) if node.level == 0 else f"{module}.{node.module}"
            for alias in node.names:
                found[alias.asname or alias.name] = (source, alias.name)
    return found


def _found(module: str, name: str) -> _Class | None:
    """The class that a name in a module stands for."""
    tree = _tree(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _Class(module, node)
    source = _imported(module).get(name)
    return _found(*source) if source is not None else None


def _assigned_docstring(found: _Class) -> str:
    """What a module assigns to `__doc__` of a class, as torch.optim does, without the parts that it computes."""
    tree = _tree(found.module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{found.node.name}.__doc__":
            parts = (part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant))
            return cleandoc("".join(part for part in parts if isinstance(part, str)))
    return ""


def _bases(found: _Class) -> Iterator[_Class]:
    """The base classes whose source is at hand, of seglight only."""
    for base in found.node.bases:
        named = _found(found.module, base.id) if isinstance(base, ast.Name) else None
        if named is not None and named.module.startswith("seglight"):
            yield named


def _parameters(found: _Class) -> list[Parameter]:
    """The arguments of the constructor."""
    node = found.node
    _, described = docstring(ast.get_docstring(node) or "")
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return [*_inherited(found), *(field for field in map(_field, node.body) if field is not None)]
    init = _constructor(node)
    if init is None:
        return _inherited(found)
    _, own = docstring(ast.get_docstring(init) or "")
    given = _arguments(init.args)
    parameters = [each._replace(about=described.get(each.name) or own.get(each.name, "")) for each in given]
    if init.args.kwarg is not None:
        names = {each.name for each in parameters}
        parameters += [each for each in _inherited(found) if each.name not in names]
    return parameters


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)


def _is_complete(found: _Class) -> bool:
    above = list(_bases(found))
    of_seglight = bool(above) and len(above) == len(found.node.bases)
    if any("dataclass" in ast.unparse(decorator) for decorator in found.node.decorator_list):
        return not found.node.bases or (of_seglight and all(map(_is_complete, above)))
    init = next(
        (part for part in found.node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None
    )
    if init is not None and init.args.kwarg is None:
        return True
    return of_seglight and all(map(_is_complete, above))


def _inherited(found: _Class) -> list[Parameter]:
    """The arguments of the first base class that has any, with its descriptions."""
    for base in _bases(found):
        _, described = docstring(ast.get_docstring(base.node) or "")
        parameters = [each._replace(about=described.get(each.name) or each.about) for each in _parameters(base)]
        if parameters:
            return parameters
    return []


def _arguments(given: ast.arguments) -> list[Parameter]:
    positional = [*given.posonlyargs, *given.args][1:]  # without self
    missing: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
    pairs: list[tuple[ast.arg, ast.expr | None]] = list(zip(positional, [*missing, *given.defaults], strict=True))
    pairs += list(zip(given.kwonlyargs, given.kw_defaults, strict=True))
    return [Parameter(each.arg, _text(each.annotation) or "", _text(default), "") for each, default in pairs]


def _field(node: ast.stmt) -> Parameter | None:
    """A field of a dataclass, None for another statement or for a field that is no argument."""
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        return None
    default = _text(node.value)
    if default is not None and "init=False" in default:
        return None
    return Parameter(node.target.id, _text(node.annotation) or "", default, "")


def _text(node: ast.expr | None) -> str | None:
    return None if node is None else ast.unparse(node)
