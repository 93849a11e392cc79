"""A net and its description: `class_path` and `init_args`, of which checkpoints hold plain values."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from enum import Enum
from functools import partial
from inspect import Parameter, signature
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from torch import nn

from seglight.checkpoints.trust import check_classes as check_trusted
from seglight.errors import UserError
from seglight.interfaces import Described, Encoder, NetFactory
from seglight.system.class_paths import check_parsed, class_rules, imported
from seglight.system.configs import leaves, with_classes
from seglight.system.description import arguments, class_path, describe
from seglight.system.parsing import new_parser, parser_errors

KEY = "model.net"
"""Key of the net in a recipe, for errors."""


def build_net(
    config: Mapping[str, Any],
    num_classes: int,
    packages: list[str] | None = None,
    limit: AbstractContextManager[Any] | None = None,
) -> nn.Module:
    """Build a net from its description.

    Args:
        config: Description of the net.
        num_classes: C.
        packages: Packages whose classes the description may name; None: those that a recipe may name.
        limit: Context in which the net is built.

    Raises:
        Exception: Whatever the parser or a constructor raises.
    """
    parser, parsed = _parsed(config, packages)
    with limit or nullcontext(), class_rules(packages):
        net: nn.Module = parser.instantiate(parsed).net(num_classes)
    return net


def _parsed(config: Mapping[str, Any], packages: list[str] | None) -> tuple[ArgumentParser, Namespace]:
    parser = new_parser()
    parser.add_argument("--net", type=NetFactory)
    with class_rules(packages):
        parsed = parser.parse_object({"net": config})
        check_parsed(parsed)
    return parser, parsed


def made_net(net: Any, num_classes: int) -> nn.Module:
    """The net that a module trains.

    Args:
        net: A net, a factory of one that is called with `num_classes`, or the description of one.
        num_classes: C.

    Raises:
        UserError: The net is for another number of classes, a description names what is not there, or the factory does
            not take its arguments.
    """
    if isinstance(net, nn.Module):
        check_classes(net, num_classes)
        return net
    if not isinstance(net, Mapping):
        if isinstance(net, partial) and isinstance(net.func, type):
            net = deepcopy(net)  # each net gets an encoder of its own, however often the partial is used
        try:
            made: nn.Module = net(num_classes)
        except (TypeError, AttributeError) as error:
            raise UserError(f"{KEY}: it is called with the number of classes, and fails: {error}") from error
        return made
    try:
        with parser_errors():
            return build_net(net, num_classes)
    except UserError as error:
        raise UserError(f"model.{error}") from error  # its key is that of the net alone


def check_classes(net: nn.Module, num_classes: int) -> None:
    """Refuse a net that remembers being built for another number of classes.

    Raises:
        UserError: It was.
    """
    if isinstance(net, Described) and "built_with" in vars(net):  # a class may have a __new__ of its own
        args, kwargs = net.built_with
        name, default = _first(type(net))
        count = arguments(type(net), args, kwargs, KEY).get(name, default)
        if count != num_classes:
            raise UserError(f"{KEY}: the net is for {count} classes, the data has {num_classes}: build it for these")


def describe_net(net: Any) -> dict[str, Any]:
    """The description of a net, from which it is built for any number of classes.

    Args:
        net: As in `made_net`.

    Raises:
        UserError: The net can't be described, or not be built again from its description.
    """
    config: dict[str, Any] = describe(net, KEY, NetFactory)
    if isinstance(net, nn.Module):
        _check_first(type(net))
        config.get("init_args", {}).pop(_first(type(net))[0], None)
    if not isinstance(net, Mapping):  # a description has been read already
        _check_read(without_encoder_weights(config))
    return config


def _check_read(config: dict[str, Any]) -> None:
    """Refuse a description that a checkpoint could not be read with, as the packages that it names are trusted."""
    names = {leaf.partition(".")[0] for _, leaf in leaves(config) if isinstance(leaf, str)}
    packages = check_trusted(KEY, config, sorted(filter(str.isidentifier, names)))
    try:
        with parser_errors():
            _parsed(config, packages)
    except UserError as error:
        raise UserError(f"model.{error}") from error  # its key is that of the net alone


def _check_first(kind: type) -> None:
    try:
        signature(kind).bind_partial(0)
    except TypeError as error:
        raise UserError(
            f"{KEY}: {kind.__name__} is built from a checkpoint with the number of classes as its first argument, by "
            f"position, and does not take one: write {kind.__name__}.__init__(self, num_classes, ...)"
        ) from error


def _first(kind: type) -> tuple[str, Any]:
    """Name and default of the argument that is the number of classes, of the class that does not hand it on."""
    for base in kind.__mro__:
        first = next(iter(signature(base).parameters.values()), None)
        if first is not None and first.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            return first.name, first.default
    return "num_classes", None


def plain_values(config: Any) -> Any:
    """A copy of a parsed description of a net whose classes and enumerations are their names, as recipes have them."""
    if isinstance(config, dict):
        return {name: plain_values(part) for name, part in config.items()}
    if isinstance(config, list):
        return [plain_values(part) for part in config]
    if isinstance(config, Enum):
        return config.name
    return class_path(config, KEY) if isinstance(config, type) else config


def without_encoder_weights(config: Any) -> Any:
    """A copy of a net's description whose encoders fetch no weights: a checkpoint brings them."""
    return with_classes(config, _without_weights)


def _without_weights(spec: dict[str, Any]) -> dict[str, Any]:
    found = imported(spec["class_path"])
    if not isinstance(found, type) or not issubclass(found, Encoder):
        return spec
    taken = signature(found).parameters
    if "weights" not in taken and all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in taken.values()):
        return spec
    return {**spec, "init_args": {**spec.get("init_args", {}), "weights": None}}
