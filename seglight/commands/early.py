"""Mistakes that can be told before torch and lightning are imported, which takes seconds.

The checks that follow are complete. Here nothing is refused that they accept, and the lines are the same as theirs.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.system.configs import leaves
from seglight.system.hints import argument_hint, option_hint
from seglight.system.recipe_classes import kind_of, with_class_paths
from seglight.system.recipe_files import (
    check_one_training,
    check_recipe_given,
    check_yaml,
    config_paths,
    read_recipe,
    with_recipe,
    with_recipe_of_model,
)
from seglight.system.remote import is_address
from seglight.system.signatures import is_complete, signature

RUNS = ("fit", "validate", "test")
READ_RECIPES = (*RUNS, "card", "pretrain", "doctor", "summary", "soup", "cache")
"""Commands whose --config is a recipe of `fit`."""

OPTIONS = (
    "config", "data", "seed_everything", "run_dir", "resume", "inferer", "seeds", "on_nonfinite", "ckpt_path", "logger",
    "early_stopping",
)  # fmt: skip
"""Keys at the top of a recipe, and options, beside those of the two classes below."""

GROUPS = {
    "trainer": "lightning.pytorch.Trainer",
    "model": "seglight.training.SegmentationModule",
    "model.groups": "seglight.optim.ParameterGroups",
}
"""Keys whose own keys are the arguments of one class."""

ONLY = {"augmentation": "seglight.data.Augmentation"}
"""Arguments that take one class, which is not named."""

GLOB = re.compile(r"[*?[]")
"""A character that makes a glob of an input of `predict`."""

EXPORTED = (".onnx", ".xml", ".pt2")
"""Suffixes of exported files, about which the complete check says more."""

FACTORY = re.compile(r"Factory|^AnyNet$")
"""Types of arguments that take a class as a function of what the run knows: complaints do not name the class."""

ANYTHING = re.compile(r"^$|\b(?:[Dd]ict|Mapping|Any|object)\b")
"""Types of arguments that take keys of any name."""


def check_early(args: Sequence[str]) -> None:
    """Check the arguments of a command, without importing torch.

    Args:
        args: Name of the command and its arguments.

    Raises:
        UserError: A file is missing, a recipe is not YAML, a key or an option does not exist, ...
    """
    if any(arg.startswith("--help") for arg in args):
        return
    args = with_class_paths(args)
    command = args[0]
    if command == "fit":
        args = with_recipe(args)
    if command == "card":
        if args[1:] and args[1][:1] != "-":
            check_one_training(Path(args[1]))
        args = with_recipe_of_model(args)
    if command in RUNS:
        check_recipe_given(args)
    if command in READ_RECIPES:
        check_yaml(args)
    if command in RUNS:
        _check_run(command, args)
    if command in ("card", "export", "release") and args[1:] and args[1][:1] != "-" and not _any_exists(args[1]):
        raise UserError(f"{args[1]}: no such checkpoint")
    if command == "predict":
        _check_prediction(args[1:3])


def _check_prediction(paths: Sequence[str]) -> None:
    """The model and the first input, where both directly follow the command and are plain paths."""
    if len(paths) < 2 or not all(paths) or any(path.startswith("-") for path in paths):
        return
    model, image = paths
    if not GLOB.search(image) and not is_address(image) and not os.path.exists(image):
        raise UserError(f"{image}: no such image or folder: check the path")
    if "," not in model and not model.endswith(EXPORTED) and not os.path.exists(model):
        raise UserError(f"{model}: no such checkpoint")


def known_keys() -> set[str]:
    """Keys of a recipe as far as they do not depend on a class that it chooses."""
    known = set(OPTIONS)
    for group, path in GROUPS.items():
        known |= {f"{group}.{name}" for name in signature(path).parameters}
    return known - set(GROUPS)


def _check_run(command: str, args: Sequence[str]) -> None:
    known = known_keys()
    see = f" (see `seglight {command} --help`)"
    for path in config_paths(args):
        recipe = read_recipe(path)
        for key in _unknown(recipe, "", known):
            text = f"Subcommand '{command}' does not accept option '{key}'"
            raise UserError(f"{text}{option_hint(text, known)}{see}")
        for complaint in _wrong_arguments(recipe):
            raise UserError(complaint + see)
    unrecognized = " ".join(_unrecognized(args[1:], known))
    if unrecognized:
        text = f"unrecognized arguments: {unrecognized}"
        raise UserError(f"{text}{option_hint(text, known)}{see}")
    if any(arg.startswith("--print_config") for arg in args):  # the files that a recipe names are not opened
        return
    checkpoint = _last(args, "--ckpt_path")
    if command != "fit" and checkpoint not in (None, "null") and not os.path.exists(str(checkpoint)):
        raise UserError(f"{checkpoint}: no such checkpoint")
    root = _missing_root(args)
    if root is not None and not any(arg.startswith("--resume") for arg in args):  # of a finished run nothing is read
        raise UserError(f"{root}: no such folder: set data.root to the right place")


def _any_exists(models: str) -> bool:
    """Whether there may be a model of a list with commas in between; names of files may contain some."""
    return os.path.exists(models) or any(map(os.path.exists, models.split(",")))


def _unknown(config: Mapping[Any, Any], above: str, known: set[str]) -> Iterator[str]:
    """Keys of a recipe that no option has."""
    for name, value in config.items():
        key = f"{above}{name}"
        if key in GROUPS:
            if isinstance(value, dict):
                yield from _unknown(value, f"{key}.", known)
        elif not _is_known(key, known) and isinstance(name, str):
            yield from _values(value, key)


def _is_known(key: str, known: set[str]) -> bool:
    """Whether a dotted key is that of an option, or of a part of its value."""
    parts = key.removesuffix("+").split(".")
    return any(".".join(parts[:count]) in known for count in range(1, len(parts) + 1))


def _values(value: Any, key: str) -> Iterator[str]:
    """Dotted keys of the values in nested keys; the parser does not look at a key without a value in it."""
    if not isinstance(value, dict):
        yield key
        return
    for name, part in value.items():
        yield from _values(part, f"{key}.{name}")


def _wrong_arguments(recipe: Mapping[str, Any]) -> Iterator[str]:
    """Complaints about arguments that classes of seglight do not take."""
    parts = [("data", recipe.get("data"), ""), ("inferer", recipe.get("inferer"), "")]
    for group, path in GROUPS.items():
        described = recipe.get(group)
        for name, parameter in signature(path).parameters.items():
            key = f"{group}.{name}"
            if key not in GROUPS and isinstance(described, dict) and name in described:
                parts.append((key, described[name], parameter.kind))
    for key, value, kind in parts:
        yield from _wrong_in(value, key, kind)


def _wrong_in(value: Any, key: str, kind: str) -> Iterator[str]:
    """Complaints about a value.

    Args:
        value: Description of a class, or several of them, or anything else.
        key: Dotted key of the value.
        kind: Type of the argument, as it is annotated.
    """
    if isinstance(value, list):
        for part in value:
            yield from _wrong_in(part, key, kind)
    if not isinstance(value, dict):
        return
    path = _class_of(value, key)
    arguments = (value.get("init_args") or {}) if "class_path" in value else value
    if path is None or not isinstance(arguments, dict) or not is_complete(path):
        return
    taken = signature(path).parameters
    for name, part in arguments.items():
        if name in taken:
            if not ANYTHING.search(taken[name].kind):
                yield from _wrong_in(part, f"{key}.{name}", taken[name].kind)
        elif isinstance(name, str) and name.isidentifier():
            named = None if FACTORY.search(kind) else path
            place = key if named is None else f"{key} of {named}"
            for option in _values(part, name):
                hint = argument_hint(name, named, key) if option == name else ""
                yield f"{place}: Option '{option}' is not accepted{hint}"


def _class_of(value: Mapping[str, Any], key: str) -> str | None:
    """Import path of the class that a value describes, None if it is none of seglight."""
    path = value.get("class_path")
    if "class_path" not in value:
        return ONLY.get(key.rpartition(".")[2])
    kind = kind_of(path) if isinstance(path, str) else None
    if kind is not None:  # given by its name alone
        return f"{kind.package}.{path}" if kind.package.startswith("seglight") else None
    return path if isinstance(path, str) and path.startswith("seglight.") else None


def _unrecognized(args: Sequence[str], known: set[str]) -> list[str]:
    """Options that do not exist, with the values behind them."""
    found: list[str] = []
    takes = False
    for arg in args:
        if arg.startswith("--") and len(arg) > 2:
            key = arg[2:].partition("=")[0].removesuffix(".help")
            takes = key not in (*GROUPS, "print_config") and not _is_known(key, known)
        elif arg.startswith("-"):
            takes = False
        if takes:
            found.append(arg)
    return found


def _last(args: Sequence[str], option: str) -> str | None:
    """The value of the last time that an option is given."""
    value = None
    for index, arg in enumerate(args):
        name, equals, given = arg.partition("=")
        if name == option:
            value = given if equals else next(iter(args[index + 1 : index + 2]), None)
    return value


def _missing_root(args: Sequence[str]) -> str | None:
    """The folder of the data set, if it does not exist, nor anything that the data module may read instead of it."""
    path = None
    root = None
    for index, arg in enumerate(args):
        option, equals, value = arg.partition("=")
        value = value if equals else next(iter(args[index + 1 : index + 2]), "")
        if option in ("-c", "--config"):
            data = read_recipe(value).get("data")
            if data is None:
                continue
            arguments = data.get("init_args") if isinstance(data, dict) else None
            if not isinstance(arguments, dict) or not isinstance(data.get("class_path"), str):
                return None
            path = data["class_path"]
            root = arguments.get("root", root)
            if any(str(leaf).startswith(("/", "~")) for key, leaf in leaves(arguments) if key != "root"):
                return None
        elif option in ("--data", "--data.class_path"):
            path = value
        elif option in ("--data.root", "--data.init_args.root"):
            root = value
        elif option.startswith("--data") and value.startswith(("/", "~", "{")):
            return None
    named = _class_of({"class_path": path}, "data")
    if named is None or not isinstance(root, str) or not is_complete(named):
        return None
    return None if "root" not in signature(named).parameters or os.path.exists(os.path.expanduser(root)) else root
