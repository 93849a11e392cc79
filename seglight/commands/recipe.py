"""What the commands beside `fit` need of a recipe: its data module, without the net."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from seglight.data import SegmentationDataModule
from seglight.errors import UserError
from seglight.system.class_paths import PLACES, class_rules, is_safe_recipe, parse
from seglight.system.parsing import parser_errors

CONFIG_OPTIONS = ("-c", "--config")


def parse_recipe(parser: ArgumentParser, args: list[str], more: Sequence[str] = ()) -> Namespace:
    """Add --config and --data as `fit` has them to a command's own options, and parse.

    Several configs compose as in `fit`, a later one winning; `--data.init_args.root DIR` goes over all of them.

    Args:
        parser: Parser with the command's own options, as `new_parser` makes it.
        args: What follows the command's name.
        more: Of a recipe, the parts that the command's own options have beside the data, such as "model.net"; what else
            stands in it is left alone.

    Raises:
        UserError: An option or a config is wrong, or none of them names the data.
    """
    parser.add_argument(*CONFIG_OPTIONS, action="config", help="a recipe of `fit`; may be given several times")
    parser.add_subclass_arguments(SegmentationDataModule, "data", fail_untyped=False)
    with parser_errors(parser.prog):
        options = parse(parser, list(_these_alone(args, ("data", *more))))
    if options.data is None:
        raise UserError(f"which data? Give --config FILE, a recipe with a data: part (see `{parser.prog} --help`)")
    return options


def datamodule_from(parser: ArgumentParser, args: list[str]) -> tuple[SegmentationDataModule, Namespace]:
    """Parse as `parse_recipe`, and build the data module.

    Returns:
        The data module, not set up, and the parsed options.

    Raises:
        UserError: As `parse_recipe`, or the data module refuses.
    """
    options = parse_recipe(parser, args)
    with parser_errors(parser.prog):
        return instantiate(parser, options).data, options


def instantiate(parser: ArgumentParser, options: Namespace) -> Namespace:
    """Build what `parse_recipe` has parsed.

    Raises:
        ArgumentError: A class cannot be built; `parser_errors` makes a line of it.
    """
    with class_rules():
        built: Namespace = parser.instantiate(options)
        return built


def config_paths(args: Sequence[str]) -> Iterator[str]:
    """The config files that arguments name."""
    rest = iter(args)
    for arg in rest:
        option, equals, path = arg.partition("=")
        if option in CONFIG_OPTIONS:
            yield path if equals else next(rest, "")


def _these_alone(args: list[str], keys: Sequence[str]) -> Iterator[str]:
    """The arguments with every config file replaced by the text of some of its parts."""
    rest = iter(args)
    for arg in rest:
        option, equals, path = arg.partition("=")
        if option not in CONFIG_OPTIONS:
            yield arg
            continue
        path = path if equals else next(rest, "")
        recipe, kept = read_recipe(path), dict[str, Any]()
        for key in keys:
            *outer, last = key.split(".")
            found, place = recipe, kept
            for name in outer:
                found, place = found.get(name) or {}, place.setdefault(name, {})
                if not isinstance(found, dict):
                    raise UserError(
                        f"--config {path}: {name}: {found}: give keys and values there, as in a recipe of `fit`"
                    )
            if found.get(last) is not None:
                place[last] = found[last]
        yield from (option, yaml.safe_dump(kept))


def data_options(args: list[str]) -> list[str]:
    """Of the arguments of `fit`, those that decide the data: --config and --data."""
    kept: list[str] = []
    for place, arg in enumerate(args):
        option = arg.partition("=")[0]
        if option in CONFIG_OPTIONS or option.partition(".")[0] == "--data":
            kept += [arg] if "=" in arg else args[place : place + 2]
    return kept


def read_recipe(path: str) -> dict[str, Any]:
    """What stands in a config file.

    Raises:
        UserError: It is missing, not YAML or no recipe.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not YAML: {error}") from error
    if not isinstance(content, dict | None):
        raise UserError(f"--config {path}: no recipe: its top level should be keys such as model: and data:")
    placed = [key for key in PLACES if (content or {}).get(key) is not None]
    if placed and is_safe_recipe():
        raise UserError(f"--config {path}: {placed[0]}: refused by --safe_recipe: give it on the command line instead")
    return content or {}


def size_of(text: str) -> tuple[int, int]:
    """The --size of a command, HxW, as two numbers.

    Raises:
        UserError: It is none.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise UserError(f"--size {text}: give height x width in pixels, such as 512x1024")
    return int(found[1]), int(found[2])
