"""The data part of a recipe, for commands other than `fit`."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from seglight.data import SegmentationDataModule
from seglight.errors import UserError
from seglight.system.class_paths import class_rules, parse
from seglight.system.parsing import parser_errors
from seglight.system.recipe_classes import with_class_paths
from seglight.system.recipe_files import CONFIG_OPTIONS, read_recipe


def parse_recipe(parser: ArgumentParser, args: list[str], more: Sequence[str] = ()) -> Namespace:
    """Add --config and --data, as in `fit`, to the options of a command, and parse the arguments.

    Several configs compose as in `fit`: the last one wins, and `--data.root DIR` overrides all of them.

    Args:
        parser: Parser with the options of the command, made by `new_parser`.
        args: Arguments that follow the name of the command.
        more: Parts of a recipe that the command takes beside the data, such as "model.net"; all others are ignored.

    Raises:
        UserError: An option or a config is wrong, or none of them describes the data.
    """
    parser.add_argument(*CONFIG_OPTIONS, action="config", help="a recipe of `fit`; may be given several times")
    about = "data set, and its options as --data.root DIR; default: that of the recipe"
    parser.add_subclass_arguments(
        SegmentationDataModule, "data", as_group=False, metavar="CLASS", help=about, fail_untyped=False
    )
    with parser_errors(parser.prog, parser=parser):
        options = parse(parser, with_class_paths(list(_selected_parts(args, ("data", *more)))))
    if options.data is None:
        raise UserError(
            f"no data is given: give --config FILE, a recipe with a data: part (see `{parser.prog} --help`)"
        )
    return options


def datamodule_from(parser: ArgumentParser, args: list[str]) -> tuple[SegmentationDataModule, Namespace]:
    """Parse as `parse_recipe`, and build the data module.

    Returns:
        The data module, not set up, and the parsed options.

    Raises:
        UserError: As for `parse_recipe`, or the data module refuses its arguments.
    """
    options = parse_recipe(parser, args)
    with parser_errors(parser.prog):
        return instantiate(parser, options).data, options


def instantiate(parser: ArgumentParser, options: Namespace) -> Namespace:
    """Instantiate the classes in the options of `parse_recipe`.

    Raises:
        ArgumentError: A class cannot be instantiated; `parser_errors` turns it into one line.
    """
    with class_rules():
        built: Namespace = parser.instantiate(options)
        return built


def _selected_parts(args: list[str], keys: Sequence[str]) -> Iterator[str]:
    """The arguments with each config file replaced by the text of the given parts of it."""
    rest = iter(args)
    for arg in rest:
        option, equals, path = arg.partition("=")
        if option not in CONFIG_OPTIONS:
            yield arg
            continue
        path = path if equals else next(rest, "")
        recipe = read_recipe(path)
        kept = dict[str, Any]()
        for key in keys:
            *outer, last = key.split(".")
            source = recipe
            target = kept
            for name in outer:
                source = source.get(name) or {}
                target = target.setdefault(name, {})
                if not isinstance(source, dict):
                    raise UserError(f"--config {path}: {name}: {source}: give keys and values, as in a recipe of `fit`")
            if source.get(last) is not None:
                target[last] = source[last]
        yield from (option, yaml.safe_dump(kept))
