"""Complaints of the parser as one line: the key, the class and the innermost cause, from any part of a recipe."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from seglight.errors import UserError
from seglight.interfaces import Inferer, LossFactory, NetFactory, OptimizerFactory
from seglight.system.class_paths import class_rules
from seglight.system.parsing import complaint, new_parser, parse_arguments, parser_errors
from tests.support.rooms import TREES

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "resnet18"}}
DECODER = {"class_path": "seglight.models.decoders.FPN"}
EMA = {"class_path": "seglight.callbacks.EMA"}


def told(kind: Any, value: Any) -> str:
    """What is said of a value of an argument `x`."""
    parser = new_parser()
    parser.add_argument("--x", type=kind)
    with pytest.raises(UserError) as caught, parser_errors(), class_rules():
        parser.parse_object({"x": value})
    return str(caught.value)


def net(**init_args: Any) -> dict[str, Any]:
    parts = {"encoder": ENCODER, "decoder": DECODER, **init_args}
    return {"class_path": "seglight.models.EncoderDecoder", "init_args": parts}


Callbacks = list[Callback] | Callback | None
LINES: list[tuple[Any, Any, str]] = [
    (int, "many", "x: expected int, got 'many'"),
    (int | None, "many", "x: expected int or null, got 'many'"),
    (bool | int, "many", "x: expected bool or int, got 'many'"),
    (Literal["exact", "force"] | None, "many", "x: expected 'exact', 'force' or null, got 'many'"),
    (NetFactory, {"class_path": "seglight.models.Gone"}, "x: seglight.models.Gone does not exist"),
    (NetFactory, {"class_path": "segligth.models.EncoderDecoder"}, "x: No module named 'segligth'"),
    (NetFactory, net(channels=3), "x: Option 'channels' is not accepted"),
    (
        NetFactory,
        net(encoder={**ENCODER, "init_args": {"nam": "x"}}),
        "x.encoder of seglight.models.TimmEncoder: Option 'nam' is not accepted: did you mean name?",
    ),
    (
        NetFactory,
        net(encoder={**ENCODER, "init_args": {"name": "resnet18", "output_stride": "wide"}}),
        "x.encoder.output_stride of seglight.models.TimmEncoder: expected int, got 'wide'",
    ),
    (NetFactory, net(decoder={**DECODER, "init_args": {"a": 3}}), "x.decoder: Option 'a' is not accepted"),
    (
        LossFactory,
        {"class_path": "seglight.losses.CrossEntropy", "init_args": {"class_weights": "heavy"}},
        "x.class_weights: expected Sequence[float] or null, got 'heavy'",
    ),
    (
        OptimizerFactory,
        {"class_path": "torch.optim.AdamW", "init_args": {"lr": "fast"}},
        "x.lr: expected float or Tensor, got 'fast'",
    ),
    (
        Callbacks,
        [EMA, {"class_path": "seglight.callbacks.EMAA"}],
        "x: seglight.callbacks.EMAA does not exist: did you mean seglight.callbacks.EMA?",
    ),
    (
        Callbacks,
        "seglight.callbacks.EMAA",
        "x: seglight.callbacks.EMAA does not exist: did you mean seglight.callbacks.EMA?",
    ),
    (Callbacks, [{"class_path": "EMAA"}], "x: expected list[Callback], Callback or null, got EMAA: did you mean EMA?"),
    (
        Callbacks,
        [EMA, {"class_path": "seglight.losses.CrossEntropy"}],
        "x: Import path seglight.losses.CrossEntropy does not correspond to a subclass of Callback",
    ),
    (
        Callbacks,
        [EMA, {**EMA, "init_args": {"decay": "slow"}}],
        "x.decay of seglight.callbacks.EMA: expected float, got 'slow'",
    ),
    (
        Callbacks,
        {**EMA, "init_args": {"dekay": 0.9}},
        "x of seglight.callbacks.EMA: Option 'dekay' is not accepted: did you mean decay?",
    ),
    (
        Logger | list[Logger] | bool | None,
        [{"class_path": "lightning.pytorch.loggers.CSVLoger"}],
        "x: lightning.pytorch.loggers.CSVLoger does not exist: did you mean lightning.pytorch.loggers.CSVLogger?",
    ),
    (
        bool | list[Inferer | Callback],
        [{"class_path": "seglight.callbacks.EMAA"}],
        "x: seglight.callbacks.EMAA does not exist: did you mean seglight.callbacks.EMA?",
    ),
    (
        Callbacks,
        [{"class_path": "os.system"}],
        "x: os.system is refused: it is no class for a recipe, see the page Safety of the manual",
    ),
]


@pytest.mark.parametrize(("kind", "value", "line"), LINES)
def test_the_key_the_class_and_the_cause(kind: Any, value: str | Mapping[str, Any], line: str) -> None:
    assert told(kind, value) == line


def test_the_same_of_a_command_line() -> None:
    """Where values are parsed twice, and stand as namespaces in the parser's text."""
    parser = new_parser("fit", "Trains.")
    parser.add_argument("--trainer.callbacks", type=Callbacks)
    value = "[{class_path: seglight.callbacks.EMA}, {class_path: seglight.losses.CrossEntropy}]"
    with pytest.raises(UserError) as caught:
        parse_arguments(parser, ["--trainer.callbacks", value])
    assert str(caught.value) == (
        "trainer.callbacks: Import path seglight.losses.CrossEntropy does not correspond to a subclass of Callback "
        "(see `seglight fit --help`)"
    )


def test_what_is_no_complaint_about_a_key_stays() -> None:
    parser = new_parser("look")
    with pytest.raises(UserError) as caught:
        parse_arguments(parser, ["--bogus", "1"])
    assert str(caught.value) == "unrecognized arguments: --bogus 1 (see `seglight look --help`)"
    inner = ValueError("the cause")
    outer = ValueError("what a constructor\n says")
    outer.__cause__ = inner
    assert complaint(outer) == "what a constructor says"


def test_another_line_may_take_its_place() -> None:
    parser = new_parser("look")
    parser.add_argument("--x", type=int)
    lines: list[Callable[[str], str | None]] = [lambda text: "no x" if "many" in text else None, lambda text: None]
    for instead, line in zip(lines, ["no x", "x: expected int, got 'many' (see `seglight look --help`)"], strict=True):
        with pytest.raises(UserError) as caught, parser_errors("seglight look", instead):
            parser.parse_args(["--x=many"])
        assert str(caught.value) == line


def test_a_parser_does_not_end_the_process() -> None:
    parser = new_parser("look", "Looks.")
    assert isinstance(parser, ArgumentParser)
    assert (parser.prog, parser.description) == ("seglight look", "Looks.")


def test_no_other_file_handles_errors_of_parsers_or_makes_a_console() -> None:
    names = {
        name: {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        for name, tree in TREES.items()
    }
    assert [name for name in names if "ArgumentError" in names[name]] == ["system.parsing"]
    calls = {
        name: {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for name, tree in TREES.items()
    }
    assert [name for name in calls if "PlainConsole" in calls[name]] == ["system.terminal"]
    assert [name for name in calls if "Console" in calls[name]] == []
    assert [name for name in calls if {"ArgumentParser", "Parser"} & calls[name]] == ["system.parsing"]


def test_types_stand_by_their_names_in_the_help() -> None:
    parser = new_parser("init")
    parser.add_argument("data", type=Path, help="a folder whose description is long enough for a line of its own")
    assert "<class" not in parser.format_help()
    assert "type: Path" in " ".join(parser.format_help().split())


class Inner:
    """A class inside a class."""

    def __init__(self, shares: list[float] | None = None) -> None:
        self.shares = shares


class Middle:
    """A class with a class in it."""

    def __init__(self, inner: Inner | None = None) -> None:
        self.inner = inner


class Outer:
    """A class with a class in it, which has another one."""

    def __init__(self, middle: Middle | None = None) -> None:
        self.middle = middle


@pytest.mark.parametrize("args", [["--x.middle.inner.shares", "null"], ["--x.middle.inner.shares=null"]])
def test_null_for_an_argument_of_a_class_inside_a_class(args: list[str]) -> None:
    parser = new_parser()
    parser.add_argument("--x", type=Outer)
    places = [f"{__name__}.{name}" for name in ("Outer", "Middle", "Inner")]
    given = ["--x", places[0], "--x.middle", places[1], "--x.middle.inner", places[2], "--x.middle.inner.shares", "[1]"]
    assert parse_arguments(parser, given).x.init_args.middle.init_args.inner.init_args.shares == [1.0]
    assert parse_arguments(parser, [*given, *args]).x.init_args.middle.init_args.inner.init_args.shares is None
