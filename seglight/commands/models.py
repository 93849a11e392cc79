"""List decoders, and encoders by family, with their parameters; nothing is downloaded."""

import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from itertools import chain
from typing import Any

import timm
import torch
from rich.progress import track
from rich.table import Table

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.encoders.normalized import NormalizedEncoder
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import PlainConsole, plain_console

DECODERS = import_module("seglight.models.decoders")
MODELS = import_module("seglight.models")
DECODER_HEADINGS = ("name", "parameters on resnet50")

MOST_BUILT = 150
"""Maximum number of encoders that are built to count their parameters: if there are more, only names are printed."""

RESNET50 = ([64, 256, 512, 1024, 2048], [2, 4, 8, 16, 32])
"""Channels and strides of the features for which the parameters of decoders are counted."""


def decoder_parameters() -> dict[str, int]:
    """Number of parameters of each decoder on the features of ResNet-50."""
    classes = [getattr(DECODERS, name) for name in sorted(DECODERS.__all__)]
    with torch.device("meta"):
        return {
            kind.__name__: _parameters(kind(*RESNET50))
            for kind in classes
            if isinstance(kind, type) and issubclass(kind, Decoder)
        }


def families() -> dict[str, list[str]]:
    """Names of timm's models by the module that defines them."""
    listed = {name: timm.list_models(module=name) for name in timm.list_modules()}
    return {name: models for name, models in sorted(listed.items()) if models}


def encoder(name: str) -> tuple[int, list[int]] | None:
    """Number of parameters and strides of an encoder, built on the meta device; None if it provides no features."""
    try:
        with torch.device("meta"):
            net = timm.create_model(name, features_only=True)
    except Exception:  # models without features raise exceptions of any class
        return None
    features: Any = net.feature_info
    return _parameters(net), features.reduction()


def _parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _rows(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    console = plain_console(stderr=True)
    for name in track(names, "counting", console=console, disable=not console.is_terminal, transient=True):
        found = encoder(name)
        if found is not None:
            yield name, f"{found[0] / 1e6:.1f} M", ", ".join(map(str, found[1]))


def own_encoders() -> dict[str, type[NormalizedEncoder]]:
    """Seglight's own encoders, which need no name of a timm model, by class_path."""
    classes = {name: getattr(MODELS, name) for name in MODELS.__all__}
    return {
        f"{MODELS.__name__}.{name}": kind
        for name, kind in classes.items()
        if isinstance(kind, type)
        and issubclass(kind, NormalizedEncoder)
        and all(given.default is not given.empty for given in signature(kind).parameters.values())
    }


def models(word: str | None = None) -> None:
    """Print all decoders and families of encoders with an example of each, or those whose name contains a word.

    Args:
        word: Part of the name of a decoder, an encoder or a family of encoders; case does not matter.

    Raises:
        UserError: No name contains the word.
    """
    known, console = families(), plain_console(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    counted = {name: f"{number / 1e6:.1f} M" for name, number in decoder_parameters().items()}
    if word is not None:
        return _print_found(console, word, known, counted)
    console.print(_table("decoders", DECODER_HEADINGS, iter(counted.items())))
    family_of = {models[0]: name for name, models in known.items()}
    rows = ((family_of[row[0]], str(len(known[family_of[row[0]]])), *row) for row in _rows([*family_of]))
    console.print(_table("encoders", ("family", "models", "example", "parameters", "strides"), rows))
    console.print("seglight models WORD lists the models whose name, or whose family's name, contains the word")
    return None


def _print_found(console: PlainConsole, word: str, known: dict[str, list[str]], counted: dict[str, str]) -> None:
    def matches(name: str) -> bool:
        return word.lower() in name.lower()

    decoders = {name: number for name, number in counted.items() if matches(name)}
    own = {name: kind for name, kind in own_encoders().items() if matches(name.rpartition(".")[2])}
    names = sorted({name for family, models in known.items() for name in models if matches(name) or matches(family)})
    if not (decoders or own or names):
        everything = {name.lower(): name for name in [*counted, *known, *chain(*known.values())]}
        similar = [everything[name] for name in get_close_matches(word.lower(), everything, 5)]
        hint = f"similar names are {', '.join(similar)}" if similar else "give a shorter part of the name"
        raise UserError(
            f"no encoder, family of encoders or decoder has '{word}' in its name: {hint}; "
            "`seglight models` lists all families and decoders"
        )
    if decoders:
        console.print(_table(f"decoders: {len(decoders)} found", DECODER_HEADINGS, iter(decoders.items())))
    if len(names) > MOST_BUILT:
        console.print(
            f"encoders: {len(names) + len(own)} found; give a longer word to see their parameters and strides"
        )
        console.print(", ".join([*own, *names]))
    elif own or names:
        rows = [*_own_rows(own), *_rows(names)]
        without = len(own) + len(names) - len(rows)
        console.print(_table(f"encoders: {len(rows)} found", ("name", "parameters", "strides"), iter(rows)))
        if without:
            console.print(f"{without} more provide no features at several strides, so `TimmEncoder` cannot use them")


def _own_rows(kinds: dict[str, type[NormalizedEncoder]]) -> Iterator[tuple[str, str, str]]:
    for name, kind in kinds.items():
        with torch.device("meta"):
            net = kind()  # type: ignore[call-arg]  # all of its arguments have defaults
        yield name, f"{_parameters(net) / 1e6:.1f} M", ", ".join(map(str, net.strides))


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
        UserError: As for `models`, or the arguments are wrong.
    """
    parser = new_parser("models", __doc__)
    parser.add_argument("word", type=str | None, nargs="?", default=None, help="list models whose name contains this")
    options = parse_arguments(parser, args[1:])
    models(options.word)
