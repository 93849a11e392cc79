"""What nets can be made of: decoders, and encoders by family, with their parameters; nothing is fetched."""

import sys
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import timm
import torch
from jsonargparse import ArgumentParser
from rich.progress import track
from rich.table import Table

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.terminal import plain_console

DECODERS = import_module("seglight.models.decoders")
RESNET50 = ([64, 256, 512, 1024, 2048], [2, 4, 8, 16, 32])
"""Channels and strides of the features that decoders are counted on."""


def decoder_parameters() -> dict[str, int]:
    """Of each decoder, the parameters that it has on ResNet-50's features."""
    classes = [getattr(DECODERS, name) for name in sorted(DECODERS.__all__)]
    with torch.device("meta"):
        return {
            kind.__name__: _parameters(kind(*RESNET50))
            for kind in classes
            if isinstance(kind, type) and issubclass(kind, Decoder)
        }


def families() -> dict[str, list[str]]:
    """Timm's models by the file that defines them."""
    listed = {name: timm.list_models(module=name) for name in timm.list_modules()}
    return {name: models for name, models in sorted(listed.items()) if models}


def encoder(name: str) -> tuple[int, list[int]] | None:
    """Parameters and strides of an encoder, built without memory for its weights; None: it gives no features."""
    try:
        with torch.device("meta"):
            net = timm.create_model(name, features_only=True)
    except Exception:  # each model has its own way of saying that it has no features
        return None
    features: Any = net.feature_info
    return _parameters(net), features.reduction()


def _parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _rows(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    console = plain_console(stderr=True)
    for name in track(names, "count", console=console, disable=not console.is_terminal, transient=True):
        found = encoder(name)
        if found is not None:
            yield name, f"{found[0] / 1e6:.1f} M", ", ".join(map(str, found[1]))


def models(family: str | None = None) -> None:
    """Print the decoders and the families of encoders with an example of each, or all encoders of a family.

    Raises:
        UserError: No such family.
    """
    known, console = families(), plain_console(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    if family is not None and family not in known:
        raise UserError(f"no family '{family}' of encoders: `seglight models` lists them, such as {', '.join(known)}")
    if family is not None:
        console.print(_table(f"encoders: {family}", ("name", "parameters", "strides"), _rows(known[family])))
        return
    counted = ((name, f"{number / 1e6:.1f} M") for name, number in decoder_parameters().items())
    console.print(_table("decoders", ("name", "parameters on resnet50"), counted))
    family_of = {models[0]: name for name, models in known.items()}
    rows = ((family_of[row[0]], str(len(known[family_of[row[0]]])), *row) for row in _rows([*family_of]))
    console.print(_table("encoders", ("family", "models", "for example", "parameters", "strides"), rows))
    console.print("seglight models FAMILY lists all encoders of a family")


def _table(title: str, headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="right" if heading.startswith(("parameters", "models")) else "left")
    for row in rows:
        table.add_row(*row)
    return table


def main(args: list[str]) -> None:
    """Run `models`.

    Raises:
        UserError: As `models`, or the arguments are wrong.
    """
    parser = ArgumentParser(prog="seglight models", description=__doc__, exit_on_error=False)
    parser.add_argument("family", type=str | None, nargs="?", default=None, help="list all encoders of this family")
    try:
        options = parser.parse_args(args[1:])
    except ArgumentError as error:
        raise UserError(f"{error}: see `seglight models --help`") from error
    models(options.family)
