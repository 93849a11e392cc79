"""Which classes a checkpoint may name."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from torch import nn

from seglight.errors import UserError
from seglight.system.configs import children

TRUSTED = ("seglight", "timm", "torch", "torchvision")
"""Packages whose classes a checkpoint may name."""


def check_classes(source: str, config: Any, trusted: Sequence[str] = ()) -> list[str]:
    """Check that a net's configuration names classes of trusted packages only, before any of them is imported.

    Args:
        source: File of the configuration, for error messages.
        config: Configuration of class_path and init_args, nested.
        trusted: Packages that are trusted beside `TRUSTED`.

    Returns:
        Packages whose classes may be built: the trusted ones, and those that define the classes they re-export.

    Raises:
        UserError: A class is not trusted, does not exist, or is not part of a net.
    """
    packages = [*TRUSTED, *trusted]
    found = [_check_class(source, class_path, packages) for class_path in _class_paths(config)]
    return [*packages, *dict.fromkeys(kind.__module__.split(".")[0] for kind in found)]


def _class_paths(config: Any) -> Iterator[str]:
    """Every string that the parser could take for a class: it also accepts bare strings, and YAML within a string."""
    for name, part in children(config):
        if name == "class_path":
            yield str(part)
        else:
            yield from _class_paths(part)
    if isinstance(config, str):
        within = _yaml(config)
        if isinstance(within, dict | list) or (isinstance(within, str) and within != config):
            yield from _class_paths(within)
        elif _is_import_path(config):
            yield config


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return None


def _is_import_path(text: str) -> bool:
    names = text.split(".")
    return len(names) > 1 and all(map(str.isidentifier, names)) and importlib.util.find_spec(names[0]) is not None


def _check_class(source: str, class_path: str, trusted: Sequence[str]) -> type:
    module, _, name = class_path.rpartition(".")
    package = class_path.split(".")[0]
    if package not in trusted:
        raise UserError(
            f"{source}: refused, it names the class {class_path}: if you trust that package, add --trust {package}; "
            f'in Python seglight.load(..., trust=["{package}"])'
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{source}: it names the class {class_path}, which is not installed here") from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{source}: refused, it names {class_path}, which is no part of a net")
    return found
