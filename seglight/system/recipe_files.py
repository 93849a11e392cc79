"""Recipes among the arguments of a command: which files they are, and what they contain."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from seglight.errors import UserError
from seglight.system.nested import parse_yaml
from seglight.system.run_files import CHECKPOINTS, RECIPE_FILE
from seglight.system.safe_recipe import PLACES, is_safe_recipe

CONFIG_OPTIONS = ("-c", "--config")

WITHOUT = ("--model", "--data", "-h", "--help", "--print_config")
"""Options with which a recipe may be missing, or with which the parser says what is."""


def config_paths(args: Sequence[str]) -> Iterator[str]:
    """Paths of the config files in the arguments."""
    rest = iter(args)
    for arg in rest:
        option, equals, path = arg.partition("=")
        if option in CONFIG_OPTIONS:
            yield path if equals else next(rest, "")


def data_options(args: list[str]) -> list[str]:
    """The arguments of `fit` that determine the data: --config and --data."""
    kept: list[str] = []
    for index, arg in enumerate(args):
        option = arg.partition("=")[0]
        if option in CONFIG_OPTIONS or option.partition(".")[0] == "--data":
            kept += [arg] if "=" in arg else args[index : index + 2]
    return kept


def read_recipe(path: str) -> dict[str, Any]:
    """Keys and values of a config file.

    Raises:
        UserError: The file is missing, not valid YAML, or not a recipe.
    """
    if not path or path.startswith("--"):
        raise UserError("--config: no file follows it: give a recipe, such as --config recipe.yaml")
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: the file is not valid YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"--config {path}: the file is nested too deeply: write it with fewer levels") from error
    if not isinstance(content, dict | None):
        raise UserError(
            f"--config {path}: the file is not a recipe: give keys such as model: and data: at its top level"
        )
    placed = [key for key in PLACES if (content or {}).get(key) is not None]
    if placed and is_safe_recipe():
        raise UserError(f"--config {path}: {placed[0]}: refused by --safe_recipe: give it on the command line instead")
    return content or {}


def check_yaml(args: Sequence[str]) -> None:
    """Check that config files are YAML: the parser's error does not name which of several is not.

    Raises:
        UserError: A config file is missing or not YAML.
    """
    for path in config_paths(args):
        read_recipe(path)


def with_recipe(args: list[str]) -> list[str]:
    """Put the recipe of the run in front of the arguments of `fit --resume`, unless a recipe was given.

    Args:
        args: Arguments of `fit`.

    Raises:
        UserError: There is neither a run nor a recipe.
    """
    if not any(arg.split("=")[0] == "--resume" for arg in args):
        return args
    joined = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--run_dir=") else [arg])]
    run_dir = next((place for option, place in itertools.pairwise(joined) if option == "--run_dir"), None)
    if run_dir is None:
        raise UserError("--resume resumes the run of a folder, and no folder is given: add --run_dir DIR")
    if any(arg.split("=")[0] in ("-c", "--config") for arg in args):
        return args
    recipe = Path(run_dir) / RECIPE_FILE
    if not recipe.is_file():
        raise UserError(f"{run_dir}: there is no run to resume and no recipe to start one: add --config RECIPE")
    return [args[0], "--config", str(recipe), *args[1:]]


def run_folder_of(model: str) -> Path | None:
    """The run folder that a model is, or lies in as a checkpoint; None if there is none with a recipe."""
    path = Path(model)
    if (path / RECIPE_FILE).is_file():
        return path
    folder = path.absolute().parent
    return folder.parent if folder.name == CHECKPOINTS and (folder.parent / RECIPE_FILE).is_file() else None


def check_one_training(path: Path) -> None:
    """Check that a folder is not that of several trainings, of which a command takes one.

    Raises:
        UserError: It is the folder of a `fit --seeds`.
    """
    runs = [] if (path / RECIPE_FILE).is_file() else sorted(path.glob(f"seed_*/{RECIPE_FILE}"))
    if runs:
        raise UserError(f"{path}: a folder of `fit --seeds`, of {len(runs)} trainings: name one, {runs[0].parent}")


def with_recipe_of_model(args: list[str]) -> list[str]:
    """Add the recipe of a model's run to the arguments of a command whose first one it is, unless a recipe is given.

    Args:
        args: Arguments of `card`.
    """
    given = any(arg.partition("=")[0] in CONFIG_OPTIONS for arg in args)
    if given or not args[1:] or args[1].startswith("-"):
        return args
    run = run_folder_of(args[1])
    return args if run is None else [*args[:2], "--config", str(run / RECIPE_FILE), *args[2:]]


def check_recipe_given(args: Sequence[str]) -> None:
    """Check that `fit`, `validate` or `test` gets a recipe.

    Raises:
        UserError: It does not.
    """
    if any(config_paths(args)) or any(arg.startswith(WITHOUT) for arg in args):
        return
    file = next((arg for arg in args[1:] if arg.endswith((".yaml", ".yml")) and not arg.startswith("-")), None)
    if file is not None:
        raise UserError(f"{args[0]} {file}: a recipe is given by an option: -c {file}")
    if args[0] == "fit":
        raise UserError("fit: no recipe is given: add -c RECIPE, such as the recipe.yaml that `seglight init` writes")
    raise UserError(f"{args[0]}: no recipe is given: add --config RUN/config.yaml, the recipe of the run")
