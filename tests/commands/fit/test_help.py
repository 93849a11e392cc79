"""Help of `fit`: pages on a screen or two that name the classes there are, from their sources alone.

Covers: commands.fit.command, system.help_pages, system.signatures, system.recipe_classes.
"""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from seglight.__main__ import main
from seglight.commands.fit import run_callbacks
from seglight.commands.fit.help import page, trainer_verdicts
from seglight.data import FileDataModule
from seglight.errors import UserError
from seglight.system.help_pages import type_text, value
from seglight.system.recipe_classes import (
    CALLBACKS,
    DATA,
    DECODERS,
    FORMER,
    KINDS,
    LOSSES,
    Kind,
    names_of,
    with_class_paths,
)
from seglight.system.signatures import docstring, exports, signature
from seglight.training.trainer_arguments import ARGUMENTS

LINES, WIDTH = 50, 100
TOPIC_LINES = 75
"""Two screens of a terminal and a half, which only the Trainer's 42 arguments need."""

CLASSES = [(kind, name) for kind in KINDS for name in names_of(kind)]


def defined(kind: Kind, name: str) -> type:
    found = getattr(import_module(kind.package), name)
    assert isinstance(found, type)
    return found


def arguments(found: type) -> dict[str, inspect.Parameter]:
    """Arguments of a class, and those of the first class above it where it passes on any others."""
    known = dict(inspect.signature(found).parameters)
    own = {key: each for key, each in known.items() if each.kind is not inspect.Parameter.VAR_KEYWORD}
    return own if own == known else {**own, **{k: v for k, v in arguments(found.__mro__[1]).items() if k not in own}}


def fits(text: str, lines: int) -> None:
    assert len(text.splitlines()) <= lines
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_a_command_is_a_page_that_names_data_sets_decoders_and_losses(command: str) -> None:
    text = page(command)
    fits(text, LINES)
    words = set(text.replace(",", " ").split())
    modules = {name for name in exports("seglight.data") if name.endswith("DataModule")}
    not_images = {"CIFAR10DataModule", "ImageFolderDataModule", "FileDataModule", "SegmentationDataModule"}
    assert modules - not_images <= words
    assert set(import_module("seglight.models.decoders").__all__) <= words
    assert set(import_module("seglight.losses").__all__) - set(FORMER) <= words
    assert "torch.nn" not in text
    examples = [line for line in text.splitlines() if line.startswith(f"  seglight {command} -")]
    assert len(examples) >= 3


def test_fit_names_the_methods_and_no_former_loss_that_sounds_like_one() -> None:
    lines = page("fit").splitlines()
    for name in import_module("seglight.training.methods").__all__:
        assert sum(line.startswith(f"  {name}  ") and line.endswith(".") for line in lines) == 1
    for text in (*map(page, ("fit", "validate", "test")), page("fit", "model")):
        assert "Adversarial" not in text.replace(",", " ").split()
    assert "--model.method.radius" in page("fit", "AdversarialTraining")
    assert "the method seglight.training.AdversarialTraining" in page("fit", "Adversarial")
    assert with_class_paths(["--model.loss", "Adversarial"])[1] == "seglight.losses.Adversarial"


@pytest.mark.parametrize("topic", ["data", "model", "trainer", "callbacks"])
def test_a_topic_is_a_page(topic: str) -> None:
    fits(page("fit", topic), TOPIC_LINES)


@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_class_is_a_page_with_the_arguments_that_python_sees(kind: Kind, name: str) -> None:
    found = defined(kind, name)
    text = page("fit", name)
    fits(text, LINES)
    there = signature(f"{kind.package}.{name}").parameters
    known = arguments(found)
    assert list(there) == list(known)
    for key, parameter in known.items():
        if key in kind.given:
            continue
        if kind.package.startswith("seglight."):
            assert f"{kind.option}.{key}  " in text
            assert there[key].about, f"{name}.{key} is not described"
        assert (there[key].default is None) == (parameter.default is inspect.Parameter.empty)


def test_callbacks_are_those_that_no_run_has_by_itself() -> None:
    own = {name for name in exports("seglight.callbacks") if name in vars(run_callbacks)}
    configured = {"ExactCheckpoint", "ProgressBar"}
    assert set(names_of(CALLBACKS)) == set(exports("seglight.callbacks")) - own - {"ShortRuns"} | configured


def test_names_are_found_by_base_class() -> None:
    assert all(
        issubclass(defined(DATA, name), import_module(DATA.package).SegmentationDataModule) for name in names_of(DATA)
    )
    assert FileDataModule.__name__ not in names_of(DATA)
    assert set(names_of(DECODERS)) == set(import_module("seglight.models.decoders").__all__)
    assert set(names_of(LOSSES)) == set(import_module("seglight.losses").__all__)


def test_verdicts_of_the_trainer_are_read_from_the_source() -> None:
    assert trainer_verdicts() == {name: argument.verdict for name, argument in ARGUMENTS.items()}


def test_an_unknown_topic_is_one_line_with_similar_names() -> None:
    with pytest.raises(UserError, match=r"^seglight fit --help FPM: there is no such topic: did you mean FPN\?$"):
        page("fit", "FPM")
    with pytest.raises(UserError, match="use one of data, model, trainer, callbacks, or a class"):
        page("fit", "qqqqqq")
    assert page("fit", "fpn") == page("fit", "seglight.models.decoders.FPN")


def test_help_is_found_among_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "no_such_file.yaml", "--help"]) == 0
    assert capsys.readouterr().out == page("fit")
    assert main(["test", "--help=Dice"]) == 0
    assert capsys.readouterr().out == page("test", "Dice")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from seglight.__main__ import main; codes = [main(['fit', '--help', *topic]) for topic in "
        "([], ['trainer'], ['TimmEncoder'], ['AdamW'], ['EarlyStopping'])]; "
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules}); sys.exit(any(codes))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "LOADED" in loaded
    assert not loaded & {"torch", "lightning", "timm", "numpy", "jsonargparse", "yaml", "cv2", "torchmetrics"}


def test_sections_of_docstrings() -> None:
    text = "What it is.\n\n    code(x)\n\nMore\nof it.\n\n"
    text += "Args:\n    a: First\n        argument.\n    *b (int): Second.\n\nRaises:\n    UserError: c: no."
    assert docstring(text) == (("What it is.", "    code(x)", "More of it."), {"a": "First argument.", "b": "Second."})


def test_types_and_values_as_yaml_has_them() -> None:
    assert type_text("Literal['a', 'b'] | None") == "a, b or null"
    assert type_text("Optional[Union[int, tuple[int, int]]]") == "int or tuple[int, int] or null"
    assert value("(0.5, 2.0)") == "[0.5, 2.0]"
    assert value("'hub'") == "hub"
    assert value("None") == "null"


def test_a_class_may_be_given_by_its_name_alone() -> None:
    args = ["fit", "-c", "x.yaml", "--data", "FolderDataModule", "--model.loss=Dice", "--trainer.callbacks+=EMA"]
    args += ["--model.net.init_args.decoder", "FPN", "--run_dir", "FPN", "--model.net.encoder", "own.Encoder"]
    assert with_class_paths(args) == [
        "fit", "-c", "x.yaml", "--data", "seglight.data.FolderDataModule", "--model.loss=seglight.losses.Dice",
        "--trainer.callbacks+=seglight.callbacks.EMA", "--model.net.init_args.decoder", "seglight.models.decoders.FPN",
        "--run_dir", "FPN", "--model.net.encoder", "own.Encoder",
    ]  # fmt: skip
