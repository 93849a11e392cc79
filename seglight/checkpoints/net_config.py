"""A net and its description: `class_path` and `init_args`, of which checkpoints hold plain values."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import partial
from inspect import signature
from typing import Any

from torch import nn

from seglight.errors import UserError
from seglight.interfaces import Described, Encoder, NetFactory
from seglight.system.class_paths import check_parsed, class_rules, imported
from seglight.system.configs import with_classes
from seglight.system.description import arguments, describe
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
    parser = new_parser()
    parser.add_argument("--net", type=NetFactory)
    with class_rules(packages):
        parsed = parser.parse_object({"net": config})
        check_parsed(parsed)
    with limit or nullcontext(), class_rules(packages):
        net: nn.Module = parser.instantiate(parsed).net(num_classes)
    return net


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
    if isinstance(net, Described):
        args, kwargs = net.built_with
        count = arguments(type(net), args, kwargs, KEY)[_first(net)]
        if count != num_classes:
            raise UserError(f"{KEY}: the net is for {count} classes, the data has {num_classes}: build it for these")


def describe_net(net: Any) -> dict[str, Any]:
    """The description of a net, from which it is built for any number of classes.

    Args:
        net: As in `made_net`.

    Raises:
        UserError: The net can't be described.
    """
    config: dict[str, Any] = describe(net, KEY)
    if isinstance(net, nn.Module):
        config["init_args"].pop(_first(net))
    return config


def _first(net: nn.Module) -> str:
    """Name of the argument that is the number of classes."""
    return next(iter(signature(type(net)).parameters))


def without_encoder_weights(config: Any) -> Any:
    """A copy of a net's description whose encoders fetch no weights: a checkpoint brings them."""
    return with_classes(config, _without_weights)


def _without_weights(spec: dict[str, Any]) -> dict[str, Any]:
    found = imported(spec["class_path"])
    if not isinstance(found, type) or not issubclass(found, Encoder):
        return spec
    return {**spec, "init_args": {**spec.get("init_args", {}), "weights": None}}
