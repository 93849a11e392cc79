"""Completion of commands, options, class names and files in bash, zsh and fish."""

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter

from seglight.errors import UserError
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.recipe_classes import CALLBACKS, KINDS, LABELLED, Kind, names_of, offered
from seglight.system.signatures import signature

PACKAGE = Path(__file__).parents[1]

DESCRIPTION = """Print a script that completes commands, options, class names and files. It is static: nothing is
imported when a key is pressed. Write it once, and again after an update of seglight:

  bash  seglight completion bash > ~/.local/share/bash-completion/completions/seglight
  zsh   seglight completion zsh > ~/.zfunc/_seglight, a folder of fpath before compinit
  fish  seglight completion fish > ~/.config/fish/completions/seglight.fish

In this shell alone: eval "$(seglight completion bash)"
"""

TRAININGS = ("fit", "validate", "test", "sweep")
"""Commands that take all options of a recipe."""

TOPICS = ("data", "model", "trainer", "callbacks")
VALUES = {
    "--logger": ("csv", "tensorboard", "wandb", "mlflow"),
    "--resume": ("exact", "force"),
    "--trainer.accelerator": ("auto", "cpu", "cuda", "gpu", "mps"),
    "--trainer.precision": ("32-true", "16-mixed", "bf16-mixed"),
    "--trainer.strategy": ("auto", "ddp", "ddp_fork"),
    "--early_stopping": ("val/miou:5", "val/loss:5"),
}
"""Values of options that take one of a few."""

FOLDERS = ("run_dir", "root", "cache", "fix", "mirror")
"""Last parts of the names of options that take a folder; others that are not numbers take a file."""


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def main(args: Sequence[str]) -> int:
    """Print the script of a shell.

    Raises:
        UserError: The shell is unknown, or the package shtab is missing.
    """
    own = new_parser("completion", DESCRIPTION, formatter_class=_Help)
    own.add_argument("shell", type=Literal["bash", "zsh", "fish"], help="the shell")
    shell = parse_arguments(own, args[1:]).shell
    if find_spec("shtab") is None:
        raise UserError("completion: the package shtab is missing: pip install 'seglight[completion]'")
    sys.stdout.write(script(shell))
    return 0


def script(shell: str) -> str:
    """The script of a shell.

    Args:
        shell: "bash", "zsh" or "fish".
    """
    import shtab

    text: str = shtab.complete(parser(), shell)
    return text


def parser() -> argparse.ArgumentParser:
    """A parser of all commands that completes words; the commands have their own, which take seconds to import."""
    whole = argparse.ArgumentParser("seglight")
    whole.add_argument("--version", action="store_true", help="the version")
    commands = whole.add_subparsers()
    for name, (module, about) in commands_of().items():
        command = commands.add_parser(name, help=about, add_help=False)
        command.add_argument("-h", "--help", **_help(name))
        for option in ("--debug", "--safe_recipe"):
            command.add_argument(option, action="store_true")
        for flags, options in dict(_options(name, module)).items():
            _complete(command.add_argument(*flags, **options))
    return whole


def commands_of() -> dict[str, tuple[str, str]]:
    """Module and description of each command: the table of `seglight/__main__.py`, from its source."""
    tree = ast.parse((PACKAGE / "__main__.py").read_text(encoding="utf-8"))
    tables = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMANDS"
    )
    commands: dict[str, tuple[str, str]] = ast.literal_eval(next(tables))
    return commands


def _help(command: str) -> dict[str, Any]:
    if command not in TRAININGS[:3]:
        return {"action": "store_true", "help": "the options"}
    return {"nargs": "?", "choices": [*TOPICS, *(name for kind in KINDS for name in offered(kind))], "help": "help"}


def _options(command: str, module: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The options of a command: those in its source, and those of a recipe where it takes one."""
    if command == "completion":  # this file has options of other commands, too
        yield ("shell",), {"choices": ["bash", "zsh", "fish"]}
        return
    path = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    folder = PACKAGE / "commands"
    files = sorted(path.parent.glob("*.py")) if path.parent != folder else [path]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    adding = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    declared = [option for call in adding for option in _declared(call)]
    yield from declared
    if any("--config" in flags for flags, _ in declared):  # it is of this command alone, and takes no keys of a recipe
        return
    taken = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    if command in TRAININGS or command == "pretrain" or taken & {"parse_recipe", "datamodule_from"}:
        yield ("-c", "--config"), {}
        yield from _recipe_options(command)


def _declared(call: ast.Call) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """An option of `add_argument`, as far as its source tells."""
    flags = tuple(str(each.value) for each in call.args if isinstance(each, ast.Constant))
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if not flags:
        return
    options: dict[str, Any] = {}
    action = given.get("action")
    if isinstance(action, ast.Constant) and action.value == "store_true":
        yield flags, {"action": "store_true"}
        return
    nargs = given.get("nargs")
    if isinstance(nargs, ast.Constant):
        options["nargs"] = nargs.value
    kind = given.get("type")
    literals = [node for node in ast.walk(kind) if isinstance(node, ast.Subscript)] if kind is not None else []
    for literal in literals:
        if ast.unparse(literal.value) == "Literal":
            options["choices"] = [str(each.value) for each in ast.walk(literal.slice) if isinstance(each, ast.Constant)]
    yield flags, options


def _recipe_options(command: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Keys of a recipe without `init_args`: each class by name, and the arguments of all classes of its kind."""
    whole = command in TRAININGS
    for kind in KINDS if command != "pretrain" else (LABELLED,):
        if not whole and not kind.option.startswith(("--data", "--model.net")):
            continue
        if len(names_of(kind)) > 1 and kind.package != "lightning.pytorch.callbacks":
            plus = "+" if kind is CALLBACKS else ""
            yield (f"{kind.option}{plus}",), {"choices": list(offered(kind))}
        for name in _arguments(kind):
            yield (f"{kind.option}.{name}",), {}
    if whole:
        for name in ("aux_weight", "channels_last", "weights"):
            yield (f"--model.{name}",), {}
        yield ("--ckpt_path",), {}
    if whole or command == "pretrain":
        yield ("--seed_everything",), {}
        for name in signature("lightning.pytorch.Trainer").parameters:
            if name != "callbacks":
                yield (f"--trainer.{name}",), {}


def _arguments(kind: Kind) -> list[str]:
    """Arguments of all classes of a kind that a recipe gives."""
    found = (name for each in names_of(kind) for name in signature(f"{kind.package}.{each}").parameters)
    taken = {kind.option for kind in KINDS}
    return [name for name in dict.fromkeys(found) if name not in kind.given and f"{kind.option}.{name}" not in taken]


def _complete(action: argparse.Action) -> None:
    """Let an option complete one of its values, a folder, or a file."""
    import shtab

    option = action.option_strings[-1] if action.option_strings else action.dest
    if option in VALUES:
        action.choices = VALUES[option]
    if action.choices is None and action.nargs != 0:
        last = option.rpartition(".")[2].lstrip("-")
        action.complete = shtab.DIRECTORY if last in FOLDERS else shtab.FILE  # type: ignore[attr-defined]
