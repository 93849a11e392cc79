"""Nested configurations: dicts, lists and namespaces of the parser, where `class_path` and `init_args` name a class."""

from argparse import Namespace  # the base class of the parser's, whose import takes longer than an early check
from collections.abc import Callable, Iterator
from typing import Any


def children(config: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of each part of a configuration, one level deep; none of a plain value.

    Args:
        config: Dict or namespace, whose parts are named by their keys, or list, tuple or set: by their indices.
    """
    if isinstance(config, Namespace):
        yield from vars(config).items()
    elif isinstance(config, dict):
        yield from config.items()
    elif isinstance(config, list | tuple | set):
        yield from ((str(index), part) for index, part in enumerate(config))


def leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of each plain value in a configuration.

    Args:
        config: Configuration.
        key: Key of the configuration itself.
    """
    if not isinstance(config, Namespace | dict | list | tuple | set):
        yield key, config
    for name, part in children(config):
        yield from leaves(part, f"{key}.{name}".strip("."))


def with_classes(config: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of a configuration in which each class is replaced by what a function makes of it.

    Args:
        config: Configuration of dicts and lists.
        change: Function of a dict with `class_path`, whose own parts are already replaced.
    """
    if isinstance(config, list):
        return [with_classes(part, change) for part in config]
    if not isinstance(config, dict):
        return config
    copy = {key: with_classes(part, change) for key, part in config.items()}
    return change(copy) if "class_path" in copy else copy
