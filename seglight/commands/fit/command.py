"""fit, validate and test on the command line: answers `--help` before anything heavy is imported."""

import sys

from seglight.commands.fit.help import page
from seglight.system.collector import command_imports
from seglight.system.help_pages import asked_topic, asks_help, with_parser_help


def main(args: list[str]) -> None:
    """Run `fit`, `validate` or `test`, or print a page of its help.

    Raises:
        UserError: The recipe or the data is wrong, or there is no such topic.
    """
    if asks_help(args):
        sys.stdout.write(page(args[0], asked_topic(args)))
        return
    with command_imports():
        from seglight.commands.fit import cli  # imports torch and lightning

    cli.main(with_parser_help(args))
