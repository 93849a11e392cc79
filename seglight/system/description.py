"""Objects of Python as recipes have them: `class_path` and `init_args`, nested, of plain values.

What is described can be built again, by `seglight fit --config RUN/config.yaml` or from a checkpoint. These can be
described:

- plain values, those of numpy among them, and lists, dicts, paths and enumerations of them,
- dataclasses, among them inferers,
- classes that can be imported, and `functools.partial` of them with arguments by name, which stand for factories,
- objects of the classes that remember their arguments (`seglight.interfaces.Described`).
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from os import PathLike, fspath
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Described, Inferer


def describe(value: Any, key: str, hint: Any = Any) -> Any:
    """The description of a value: plain values only, a copy that shares nothing with it.

    Args:
        value: Value of a recipe, or object that stands for one.
        key: Key that it has in a recipe, for the error.
        hint: Type of its place: a class is an import path where a type is expected, and the arguments by position of
            a factory are left out, as it is called with them.

    Raises:
        UserError: The value, or one of its arguments, can't be described.
    """
    if isinstance(value, Enum):  # may be a string or a number as well
        return value.name if _expects(hint, type(value)) else describe(value.value, key)
    if isinstance(value, np.generic):
        return describe(value.item(), key)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Mapping):
        return {str(name): describe(part, f"{key}.{name}", hint) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [describe(part, f"{key}.{index}", hint) for index, part in enumerate(value)]
    return _of_object(value, key, hint)


def _of_object(value: Any, key: str, hint: Any) -> Any:
    if isinstance(value, type):
        return class_path(value, key) if _expects(hint, type) else _spec(value, {}, key, _positions(hint))
    if isinstance(value, partial):
        return _of_partial(value, key, _positions(hint))
    if isinstance(value, Described) and "built_with" in vars(value):  # a class may have a __new__ of its own
        args, kwargs = value.built_with
        return _spec(type(value), arguments(type(value), args, kwargs, key), key)
    if is_dataclass(value):
        values = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        if isinstance(value, Inferer):  # one of several classes that fit its place
            return _spec(type(value), values, key)
        hints = _hints(type(value))
        return {name: describe(part, f"{key}.{name}", hints.get(name, Any)) for name, part in values.items()}
    raise UserError(f"{key}: {_name(value)} can't be described: {_remedy(value)}")


def class_path(kind: type, key: str) -> str:
    """The shortest path by which a class can be imported, as `seglight.models.EncoderDecoder`.

    Args:
        kind: Class.
        key: Key that it has in a recipe, for the error.

    Raises:
        UserError: It can't be imported: it was defined inside a function, or in the program that runs.
    """
    module, name = kind.__module__, kind.__qualname__
    if module == "__main__" or "<" in name:
        raise UserError(
            f"{key}: the class {name} can't be imported by other programs, which build it from the checkpoint: "
            "move it to the top level of a file of its own, and import it from there"
        )
    packages = module.split(".")
    for count in range(2, len(packages)):
        package = ".".join(packages[:count])
        if getattr(sys.modules.get(package), name, None) is kind:
            return f"{package}.{name}"
    return f"{module}.{name}"


def arguments(kind: type, args: tuple[Any, ...], kwargs: dict[str, Any], key: str) -> dict[str, Any]:
    """The arguments of a constructor by name.

    Args:
        kind: Class.
        args: Arguments by position.
        kwargs: Arguments by name.
        key: Key that the object has in a recipe, for the error.

    Raises:
        UserError: They don't fit, or some have no name.
    """
    signature = inspect.signature(kind)
    try:
        bound = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise UserError(f"{key}: {kind.__name__}: {error}") from error
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    if any(kinds[name] is inspect.Parameter.VAR_POSITIONAL for name in bound):
        raise UserError(f"{key}: {kind.__name__} takes arguments without names (*args), which a recipe can't give")
    named: dict[str, Any] = {}
    for name, value in bound.items():
        named.update(value if kinds[name] is inspect.Parameter.VAR_KEYWORD else {name: value})
    return named


def changes(value: object, built_with: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an object that were changed after it was built, by name.

    Args:
        value: Object.
        built_with: Values that the attributes had at first, by name.
    """
    now = {name: getattr(value, name) for name in built_with}
    return {name: new for name, new in now.items() if new is not built_with[name] and new != built_with[name]}


def _of_partial(factory: "partial[Any]", key: str, positions: int) -> dict[str, Any]:
    if not isinstance(factory.func, type):
        raise UserError(
            f"{key}: a partial of {_name(factory.func)}, which is a function, can't be described: "
            "give a partial of a class"
        )
    if factory.args:
        raise UserError(
            f"{key}: a partial of {factory.func.__name__} has an argument without a name: give it by name, as "
            f"partial({factory.func.__name__}, name=value)"
        )
    return _spec(factory.func, factory.keywords, key, positions)


def _spec(kind: type, init_args: Mapping[str, Any], key: str, positions: int = 0) -> dict[str, Any]:
    hints = _hints(kind)
    described = {
        name: describe(part, f"{key}.init_args.{name}", hints.get(name, Any)) for name, part in init_args.items()
    }
    described = _defaults(kind, init_args, hints, positions) | described
    return {"class_path": class_path(kind, key), **({"init_args": described} if described else {})}


def _defaults(kind: type, init_args: Mapping[str, Any], hints: Mapping[str, Any], positions: int) -> dict[str, Any]:
    """Arguments that were not given: the parser would keep those of the class that the recipe has by default."""
    found = {}
    for name, parameter in list(_parameters(kind).items())[positions:]:
        default = parameter.default
        if name in init_args or default is parameter.empty:
            continue
        if isinstance(default, type) and name not in hints:  # a class can't be named where there is no type
            continue
        try:
            found[name] = describe(default, name, hints.get(name, Any))
        except UserError:  # such as a function, which no recipe names
            continue
    return found


def _hints(kind: type) -> dict[str, Any]:
    """Types of the arguments of a constructor, and of those that it hands over to the classes that it derives from."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        try:
            found |= get_type_hints(vars(base).get("__init__"))
        except (NameError, TypeError, AttributeError):  # a type that is only imported for type checkers
            continue
    return found


def _expects(hint: Any, kind: type) -> bool:
    """Whether a type is `kind`, or a union or a collection of it."""
    if get_origin(hint) is Callable:
        return False
    return hint is kind or get_origin(hint) is kind or any(_expects(part, kind) for part in get_args(hint))


def _positions(hint: Any) -> int:
    """Number of arguments that a factory of a type is called with; 0: it is not the type of a factory."""
    if get_origin(hint) is Callable:
        given = get_args(hint)[0]
        return len(given) if isinstance(given, list) else 0
    return max(map(_positions, get_args(hint)), default=0)


def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(kind).parameters
    except (TypeError, ValueError):  # some builtins have none
        return {}


def _name(value: Any) -> str:
    if inspect.isroutine(value):
        return "a lambda" if value.__name__ == "<lambda>" else f"the function {value.__qualname__}"
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


def _remedy(value: Any) -> str:
    if inspect.isroutine(value):
        return "give a class or a functools.partial of one"
    if isinstance(value, Tensor | np.ndarray):
        return "give the numbers that it holds as plain ones, or as a list of them"
    name = type(value).__qualname__
    return (
        f'give partial({name}, ...), or {{"class_path": ..., "init_args": {{...}}}}, from which it can be built again'
    )
