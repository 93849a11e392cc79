"""Similar names for what a user has misspelt."""

import pytest
from jsonargparse import ArgumentParser

from seglight.errors import UserError
from seglight.interfaces import DecoderFactory, LossFactory
from seglight.system.class_paths import class_rules
from seglight.system.hints import argument_hint, class_hint, did_you_mean, option_hint
from seglight.system.parsing import new_parser, parse_arguments

KEYS = ("run_dir", "trainer.max_epochs", "trainer.min_epochs", "data")


@pytest.fixture
def parser() -> ArgumentParser:
    parser = new_parser("fit", allow_abbrev=False)
    parser.add_argument("--model.loss", type=LossFactory)
    parser.add_argument("--model.decoder", type=DecoderFactory)
    parser.add_argument("--trainer.max_epochs", type=int)
    return parser


LINES = [
    (["--trainer.max_epoch", "3"], "unrecognized arguments: --trainer.max_epoch 3: did you mean --trainer.max_epochs?"),
    (["--trainer.max_epoch=3"], "unrecognized arguments: --trainer.max_epoch=3: did you mean --trainer.max_epochs?"),
    (["--max_epochs", "3"], "unrecognized arguments: --max_epochs 3: did you mean --trainer.max_epochs?"),
    (
        ["--model.loss", "OHEM"],
        "model.loss: OHEM is no class that is known by its name alone: did you mean OHEMCrossEntropy?",
    ),
    (
        ["--model.decoder=FPM"],
        "model.decoder: FPM is no class that is known by its name alone: did you mean FPN?",
    ),
    (
        ["--model.loss", "seglight.losses.Dice", "--model.loss.smoot", "1"],
        "model.loss: Option 'smoot' is not accepted: did you mean smooth?",
    ),
    (
        ["--model.loss", "seglight.losses.Dice", "--model.loss.threshold", "1"],
        "model.loss: Option 'threshold' is not accepted: it is an argument of OHEMCrossEntropy",
    ),
]


@pytest.mark.parametrize(("args", "line"), LINES)
def test_complaints_of_a_command_line(parser: ArgumentParser, args: list[str], line: str) -> None:
    with pytest.raises(UserError) as caught, class_rules():
        parse_arguments(parser, args)
    assert str(caught.value) == f"{line} (see `seglight fit --help`)"


def test_names_that_resemble_nothing_have_no_hint() -> None:
    assert did_you_mean("xyz", KEYS) == ""
    assert option_hint("unrecognized arguments: --xyz 1", KEYS) == ""
    assert option_hint("another complaint", KEYS) == ""
    assert argument_hint("xyz", None, "x") == ""
    assert class_hint("Xyz", "") == ""


def test_arguments_of_classes_within_a_recipe() -> None:
    """As far as no option of the command ends in the same word."""
    keys = ("config", "data", "model.optimizer", "trainer.max_epochs")
    for option, right in (
        ("--crop_size 256", "--data.augmentation.crop_size"),
        ("--batch_size=4", "--data.batch_size"),
        ("--trainer.batch_size 4", "--data.batch_size"),
        ("--root x", "--data.root"),
        ("--lr 1", "--model.optimizer.lr"),
        ("--max_epochs 1", "--trainer.max_epochs"),
        ("net/recipe.yaml", "-c net/recipe.yaml"),
    ):
        assert option_hint(f"unrecognized arguments: {option}", keys) == f": did you mean {right}?"
    assert option_hint("unrecognized arguments: --crop_size 256", ("out", "size")) != ": did you mean --data.root?"
    assert option_hint("unrecognized arguments: a.yaml", ("out",)) == ""


def test_what_a_class_takes_is_listed() -> None:
    assert argument_hint("xyz", "seglight.losses.Dice", "model.loss") == ": it takes smooth"
    assert argument_hint("xyz", "some.other.Class", "model.loss") == ""


def test_a_class_of_another_kind_is_named() -> None:
    assert class_hint("FPN", "model.loss") == ": FPN is one of the decoders (--model.net.decoder)"
    assert class_hint("Qqqq", "model.method") == ": use one of AdversarialNetwork, AdversarialTraining, Supervised"
