"""Read checkpoints without running anything that stands in them, and build the net that one describes."""

import importlib
import importlib.util
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from jsonargparse import ArgumentParser
from torch import nn

from seglight import __version__
from seglight.data.classes import Color
from seglight.errors import UserError, parser_complaint
from seglight.interfaces import Encoder, NetFactory
from seglight.weights_file import read_weights_only

KEY = "seglight"
"""Where a checkpoint keeps its Card."""

TRUSTED = ("seglight", "timm", "torch", "torchvision")
"""Packages whose classes a checkpoint may name."""


class Card(TypedDict):
    """What it takes to use a checkpoint without its recipe; plain values only, so that it loads weights-only."""

    version: str
    net: dict[str, Any]
    num_classes: int
    ignore_index: int
    class_names: list[str]
    palette: list[Color]
    channels_last: bool


def make_card(
    net: dict[str, Any], class_names: Sequence[str], palette: Sequence[Color], ignore_index: int, channels_last: bool
) -> Card:
    """Describe a net by its configuration (class_path, init_args) and its classes."""
    return {
        "version": __version__,
        "net": net,
        "num_classes": len(class_names),
        "ignore_index": ignore_index,
        "class_names": list(class_names),
        "palette": [(int(r), int(g), int(b)) for r, g, b in palette],
        "channels_last": channels_last,
    }


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint on the CPU, loaded weights-only.

    Raises:
        UserError: There is no such file, it can't be read safely, or seglight did not write it.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint")
    checkpoint = read_weights_only(path)
    card = checkpoint.get(KEY) if isinstance(checkpoint, dict) and "state_dict" in checkpoint else None
    if not isinstance(card, dict) or not Card.__required_keys__ <= card.keys() or not isinstance(card["net"], dict):
        raise UserError(f"{path}: not a checkpoint of `seglight fit`")
    return dict(checkpoint)


def load_net(path: str | Path, trusted: Sequence[str] = ()) -> tuple[nn.Module, Card]:
    """Build the net of a checkpoint with its weights, in evaluation mode.

    Args:
        path: A checkpoint of `seglight fit`.
        trusted: Packages beside `TRUSTED` whose classes the checkpoint may name.

    Raises:
        UserError: As `read_checkpoint`; or it names a class that is not trusted or not there, or does not fit it.
    """
    checkpoint = read_checkpoint(path)
    card: Card = checkpoint[KEY]
    for class_path in _class_paths(card["net"]):
        _check_class(str(path), class_path, (*TRUSTED, *trusted))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--net", type=NetFactory)
    try:
        config = parser.parse_object({"net": without_encoder_weights(card["net"])})
        net: nn.Module = parser.instantiate(config).net(card["num_classes"])
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the net that it describes can't be built: {parser_complaint(str(error))}") from error
    load_weights(net, checkpoint, path)
    if card["channels_last"]:
        net.to(memory_format=torch.channels_last)
    return net.eval(), card


def load_weights(net: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load the weights of a checkpoint, all of them, into a net.

    Raises:
        UserError: They are those of another net.
    """
    theirs, ours = net_weights(checkpoint), net.state_dict()
    strange = [key for key in {**theirs, **ours} if key not in theirs or key not in ours]
    strange += [key for key in ours if key in theirs and ours[key].shape != theirs[key].shape]
    if strange:
        raise UserError(
            f"{path}: of another net, {len(strange)} tensors do not fit, such as {strange[0]}: use its own recipe"
        )
    net.load_state_dict(theirs)


def load_fitting_weights(net: nn.Module, path: str | Path) -> None:
    """Start from the weights of a checkpoint; heads of another class count stay as they are.

    Raises:
        UserError: As `read_checkpoint`; or they are those of another net.
    """
    theirs, ours = net_weights(read_checkpoint(path)), net.state_dict()
    fitting = {key: value for key, value in theirs.items() if key in ours and value.shape == ours[key].shape}
    strange = [key for key in ours if key not in fitting and "head" not in key]
    if strange:
        raise UserError(
            f"model.weights {path}: of another net, {len(strange)} tensors are missing, such as {strange[0]}"
        )
    net.load_state_dict(fitting, strict=False)


def net_weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The state dict of the net alone, out of that of the whole module."""
    return {
        key.removeprefix("net."): value for key, value in checkpoint["state_dict"].items() if key.startswith("net.")
    }


def without_encoder_weights(config: Any) -> Any:
    """A copy of a net's configuration whose encoders fetch no weights: a checkpoint brings them."""
    if isinstance(config, list):
        return [without_encoder_weights(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    copy = {key: without_encoder_weights(value) for key, value in config.items()}
    if _is_encoder(copy.get("class_path")):
        copy["init_args"] = {**copy.get("init_args", {}), "weights": None}
    return copy


def _is_encoder(class_path: Any) -> bool:
    if not isinstance(class_path, str):
        return False
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, Encoder)


def _class_paths(config: Any) -> Iterator[str]:
    """Every string that could be taken for a class: the parser takes a bare one as well as a `class_path`."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "class_path":
                yield str(value)
            else:
                yield from _class_paths(value)
    elif isinstance(config, list):
        for value in config:
            yield from _class_paths(value)
    elif isinstance(config, str) and _is_import_path(config):
        yield config


def _is_import_path(text: str) -> bool:
    names = text.split(".")
    return len(names) > 1 and all(map(str.isidentifier, names)) and importlib.util.find_spec(names[0]) is not None


def _check_class(path: str, class_path: str, trusted: Sequence[str]) -> None:
    module, _, name = class_path.rpartition(".")
    package = class_path.split(".")[0]
    if package not in trusted:
        raise UserError(
            f"{path}: refused, it names the class {class_path}: if you trust that package, add --trust {package}"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: it names the class {class_path}, which is not installed here") from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{path}: refused, it names {class_path}, which is no part of a net")
