"""What the commands beside `fit` need of a recipe: its data module, without the net."""

from argparse import ArgumentError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from seglight.data import SegmentationDataModule
from seglight.errors import UserError, parser_complaint

CONFIG_OPTIONS = ("-c", "--config")


def datamodule_from(parser: ArgumentParser, args: list[str]) -> tuple[SegmentationDataModule, Namespace]:
    """Add --config and --data as `fit` has them to a command's own options, parse, and build the data module alone.

    Several configs compose as in `fit`, a later one winning; what else stands in them is left alone, and
    `--data.init_args.root DIR` goes over all of them.

    Args:
        parser: Holds the command's own options; made with `exit_on_error=False`, its `prog` "seglight COMMAND".
        args: What follows the command's name.

    Returns:
        The data module, not set up, and the parsed options.

    Raises:
        UserError: An option or a config is wrong, none of them names the data, or the data module refuses.
    """
    parser.add_argument(*CONFIG_OPTIONS, action="config", help="a recipe of `fit`; may be given several times")
    parser.add_subclass_arguments(SegmentationDataModule, "data", fail_untyped=False)
    try:
        options = parser.parse_args(list(_data_alone(args)))
        if options.data is None:
            raise UserError(f"which data? Give --config FILE, a recipe with a data: part (see `{parser.prog} --help`)")
        return parser.instantiate(options).data, options
    except ArgumentError as error:
        raise UserError(f"{parser_complaint(str(error))} (see `{parser.prog} --help`)") from error


def _data_alone(args: list[str]) -> Iterator[str]:
    """The arguments with every config file replaced by the text of its data: part."""
    rest = iter(args)
    for arg in rest:
        option, equals, path = arg.partition("=")
        if option not in CONFIG_OPTIONS:
            yield arg
            continue
        path = path if equals else next(rest, "")
        data = read_recipe(path).get("data")
        if data is not None:
            yield from (option, yaml.safe_dump({"data": data}))


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
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not YAML: {error}") from error
    if not isinstance(content, dict | None):
        raise UserError(f"--config {path}: no recipe: its top level should be keys such as model: and data:")
    return content or {}
