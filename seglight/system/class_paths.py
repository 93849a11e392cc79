"""What a recipe may name: classes alone, of a type that fits their place, checked before anything is called.

Everything that parses class paths does so under `class_rules` and hands the result to `check_parsed`.
"""

import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

# the public function only adds to the policy of a process, which other users of jsonargparse there share with us; and
# config files are UTF-8, whatever the locale
from jsonargparse import ArgumentParser, Namespace, _paths, set_parsing_settings
from jsonargparse._common import parsing_settings

from seglight.errors import UserError
from seglight.system.configs import children, leaves
from seglight.system.parsing import complaint
from seglight.system.safe_recipe import is_safe_recipe

SAFE = (
    "seglight", "torch.nn", "torch.optim", "torchvision", "timm", "lightning", "torchmetrics", "albumentations",
    "optuna",
)  # fmt: skip
"""Packages that a recipe may name with --safe_recipe."""

NOT_SAFE = tuple(f"lightning.pytorch.loggers.{name}" for name in ("comet", "litlogger", "mlflow", "neptune", "wandb"))
"""Of those packages, what --safe_recipe refuses all the same: loggers that send what they are given elsewhere."""


@contextmanager
def class_rules(packages: Sequence[str] | None = None) -> Iterator[None]:
    """Set the rules of jsonargparse for import paths within the block.

    Modules that jsonargparse denies of itself (os, subprocess, builtins.eval, ...) are refused, a class that is given
    where a parameter has no type is not built, and with `packages` nothing else is imported.

    Args:
        packages: Packages that may be named, and no others; None: those of --safe_recipe if it was given, else any.
    """
    if packages is None and is_safe_recipe():
        packages = SAFE
    before, opened = dict(parsing_settings), vars(_paths).get("open", open)
    try:
        vars(_paths)["open"] = _open
        set_parsing_settings(
            import_path_denylist=[] if packages is None else ["*", *NOT_SAFE],
            import_path_allowlist=[] if packages is None else list(packages),
            instantiate_subclass_spec_in_any=False,
        )
        yield
    except ImportError as error:  # some types of the parser let it through
        if "denied by" in str(error):
            raise UserError(complaint(error)) from error
        raise
    finally:
        parsing_settings.clear()
        parsing_settings.update(before)
        vars(_paths)["open"] = opened


def _open(path: str, mode: str = "r") -> IO[Any]:
    return open(path, mode, encoding=None if "b" in mode else "utf-8")


def parse(parser: ArgumentParser, args: list[str]) -> Namespace:
    """Parse arguments by the rules.

    Raises:
        UserError: A value names a function, or a module that is refused.
        ArgumentError: An argument is wrong; `parser_errors` makes a line of it.
    """
    with class_rules():
        config = parser.parse_args(args)
        check_parsed(config)
        return config


def check_parsed(config: Any) -> None:
    """Refuse what the parser accepts by its type, or because there is none, and is no class.

    Args:
        config: What a parser has made of recipe and command line, before anything of it is built.

    Raises:
        UserError: One line with the key.
    """
    _check(config, "")
    if is_safe_recipe():
        check_paths(config.get("trainer"), "trainer")


def _check(value: Any, key: str, default: Any = None) -> None:
    if isinstance(value, Namespace) and isinstance(value.get("class_path"), str):
        _check_class(value, key)
        return
    if inspect.isroutine(value) and value is not default:  # a function that the class itself has as default stays
        raise UserError(f"{key}: {_path(value)} is a function, and only a class can be named here")
    for name, part in children(value):
        _check(part, f"{key}.{name}".strip("."))


def _check_class(spec: Namespace, key: str) -> None:
    found = imported(spec["class_path"])
    if not isinstance(found, type):
        raise UserError(f"{key}: {spec['class_path']} is no class, and only a class can be named here")
    parameters = _parameters(found)
    for name, part in children(spec.get("init_args")):
        own = f"{key}.init_args.{name}"
        parameter = parameters.get(name)
        if parameter is not None and _is_untyped(parameter) and _names_class(part):
            raise UserError(
                f"{own}: a class can't be given there, for {spec['class_path']} does not say of which type it takes "
                f"one: annotate its parameter {name}"
            )
        _check(part, own, None if parameter is None else parameter.default)
    _check_names(spec, parameters, key)
    _check(spec.get("dict_kwargs"), f"{key}.dict_kwargs")


def _check_names(spec: Namespace, parameters: dict[str, inspect.Parameter], key: str) -> None:
    """Refuse names in `dict_kwargs`, which the parser hands over unseen, that the class does not take."""
    if not parameters or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = [str(name) for name in dict(spec.get("dict_kwargs") or {}) if name not in parameters]
    if unknown:
        raise UserError(
            f"{key}.dict_kwargs: {spec['class_path']} takes no {', '.join(unknown)}: take it out, or use one of "
            f"{', '.join(parameters)}"
        )


def imported(class_path: Any) -> Any:
    """What an import path names, by the modules that are there: nothing is imported. None: they are not, or nothing."""
    module, _, name = str(class_path).rpartition(".")
    outer = sys.modules[module] if module in sys.modules else imported(module) if module else None
    return getattr(outer, name, None)


def _parameters(found: type) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(found).parameters)
    except (TypeError, ValueError):  # some builtins have none
        return {}


def _is_untyped(parameter: inspect.Parameter) -> bool:
    return parameter.annotation in (inspect.Parameter.empty, Any, object, "Any", "typing.Any", "object")


def _names_class(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_names_class, value))
    return isinstance(value, Namespace | dict) and "class_path" in value


def _path(function: Any) -> str:
    return f"{getattr(function, '__module__', None) or 'builtins'}.{function.__qualname__}"


def check_paths(value: Any, key: str) -> None:
    """With --safe_recipe, refuse what would let a run write outside of its folder and of the working directory.

    Raises:
        UserError: A string is an absolute path, goes up, or is the address of something elsewhere.
    """
    for place, leaf in leaves(value, key):
        text = os.fspath(leaf) if isinstance(leaf, str | os.PathLike) else ""
        if os.path.isabs(text) or text.startswith("~") or ".." in text.split(os.sep) or "://" in text:
            raise UserError(
                f"{place}: {text}: refused by --safe_recipe, as it is outside of the working directory: remove it"
            )
