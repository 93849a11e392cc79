"""Code in the README and the manual: commands are parsed by the real parsers, recipes are read, Python is compiled."""

import ast
import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonargparse
import pytest
import yaml

from benchmarks._record import Parser
from seglight.__main__ import COMMANDS, run_command
from seglight.commands import early
from seglight.data.class_files import read_classes
from seglight.errors import UserError
from tests.support.pages import PAGES, ROOT, blocks, command_lines, seglight_arguments

RECIPE = ROOT / "configs" / "camvid" / "unet_resnet34.yaml"
CONFIG = ("-c", "--config")
EXECUTED = ROOT / "docs" / "extending.md"
"""Its files are used by tests/test_extension.py."""


class ParsedError(Exception):
    """Raised once the arguments of a command have been parsed, in place of running it."""


@pytest.fixture
def _parsing_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop each command behind its parser, in an empty folder with the recipes of the project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr(early, "_missing_root", lambda args: None)  # the pages name folders of their readers
    monkeypatch.setattr(early, "_any_exists", lambda models: True)
    monkeypatch.setattr(early, "_check_prediction", lambda paths: None)  # and their models and images

    depth = 0

    def stopped(original: Any) -> Any:
        def parse_args(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                parsed = original(self, *args, **kwargs)
            finally:
                depth -= 1
            if depth:  # the parser of a subcommand or of a class, within that of the command
                return parsed
            raise ParsedError

        return parse_args

    monkeypatch.setattr(jsonargparse.ArgumentParser, "parse_args", stopped(jsonargparse.ArgumentParser.parse_args))
    monkeypatch.setattr(Parser, "parse_known_args", stopped(Parser.parse_known_args))


def write_inputs(page: Path, args: list[str]) -> None:
    """Write the files that a command reads before its parser: the page's own, and recipes in the places it names."""
    for block in blocks(page):
        name = block.text.split("\n")[0].removeprefix("# ")
        if block.language == "yaml" and name.endswith(".yaml"):
            Path(name).write_text(block.text)
    recipes = [args[index + 1] for index, arg in enumerate(args) if arg in CONFIG]
    if "--resume" in args:
        recipes += [f"{args[index + 1]}/config.yaml" for index, arg in enumerate(args) if arg == "--run_dir"]
    for checkpoint in (Path(args[index + 1]) for index, arg in enumerate(args) if arg == "--ckpt_path"):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()
    for recipe in map(Path, recipes):
        if not recipe.exists():
            recipe.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(RECIPE, recipe)


def all_commands() -> Iterator[Any]:
    seen = set()
    for page in PAGES:
        for line in command_lines(page):
            args = seglight_arguments(line)
            if args is not None and tuple(args) not in seen:
                seen.add(tuple(args))
                yield pytest.param(page, args, id=f"{page.stem}: {' '.join(args)}"[:90])


def test_there_are_commands() -> None:
    shown = {parameters.values[1][0] for parameters in all_commands()}
    assert shown >= COMMANDS.keys(), "each command is shown on some page"


@pytest.mark.usefixtures("_parsing_only")
@pytest.mark.parametrize(("page", "args"), [*all_commands()])
def test_commands_are_accepted_by_the_parser(page: Path, args: list[str]) -> None:
    write_inputs(page, args)
    with pytest.raises(ParsedError):
        run_command(args)


@pytest.mark.usefixtures("_parsing_only")
def test_benchmarks_accept_their_options() -> None:
    lines = {line for page in PAGES for line in command_lines(page) if "-m benchmarks " in line}
    for line in lines:
        name, *args = line.partition("-m benchmarks ")[2].split()
        with pytest.raises(ParsedError):
            importlib.import_module(f"benchmarks.{name}").main(args)


@pytest.mark.usefixtures("_parsing_only")
@pytest.mark.parametrize(
    "wrong",
    [
        ["--trainer.max_epoch", "3"],
        ["--model.loss", "seglight.losses.Dices"],
        ["--data.augmentation.crop_sizes", "96"],
    ],
    ids=lambda wrong: wrong[0],
)
def test_a_wrong_option_would_be_found(wrong: list[str]) -> None:
    with pytest.raises(UserError, match=r"max_epoch|Dices|crop_sizes"):
        run_command(["fit", "-c", str(RECIPE), *wrong])


def yaml_blocks() -> Iterator[Any]:
    for page in PAGES:
        if page != EXECUTED:
            for block in blocks(page):
                if block.language == "yaml":
                    yield pytest.param(page, block.text, id=f"{page.stem}:{block.line}")


@pytest.mark.usefixtures("_parsing_only")
@pytest.mark.parametrize(("page", "text"), [*yaml_blocks()])
def test_yaml_is_read_as_what_it_is(page: Path, text: str) -> None:
    content = yaml.safe_load(text)
    name = text.split("\n")[0].removeprefix("# ")
    if "classes" in content:
        Path("classes.yaml").write_text(text)
        read_classes(Path("classes.yaml"))
    elif name.endswith(".yaml"):
        assert any(name in line.split() for line in command_lines(page)), "a command of the page reads this file"
    elif "space" in content:
        Path("SWEEP.yaml").write_text(text)
        with pytest.raises(ParsedError):
            run_command(["sweep", "-c", "SWEEP.yaml", "--out", "sweeps/one"])
    else:
        Path("part.yaml").write_text(text)
        with pytest.raises(ParsedError):
            run_command(["fit", "-c", str(RECIPE), "-c", "part.yaml"])


def python_blocks() -> Iterator[Any]:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                yield pytest.param(block.text, id=f"{page.stem}:{block.line}")


@pytest.mark.parametrize("code", [*python_blocks()])
def test_python_compiles_and_its_imports_exist(code: str) -> None:
    """The blocks of the README, of the Python tutorial and of the page on extensions are executed by other tests."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                getattr(module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] not in sys.stdlib_module_names:
                    importlib.import_module(alias.name)


def test_blocks_name_a_language() -> None:
    """So that the page shows commands, recipes and output as such; the README's two commands are read by `.ci/run`."""
    nameless = [
        f"{page.relative_to(ROOT)}:{block.line}" for page in PAGES for block in blocks(page) if not block.language
    ]
    assert not [place for place in nameless if not place.startswith("README.md")]
