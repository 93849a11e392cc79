"""`card` on the command line: refuses a wrong folder before anything heavy is imported."""

from pathlib import Path

from seglight.commands.card.folder import check_folder
from seglight.system.collector import command_imports
from seglight.system.help_pages import asks_help
from seglight.system.recipe_files import with_recipe_of_model


def main(args: list[str]) -> None:
    """Run `card`.

    Raises:
        UserError: The model, the recipe or the data is wrong, or the folder holds anything but this card, unfinished.
    """
    out = _given(args, "--out")
    if out and not asks_help(args):
        check_folder(Path(out))
    with command_imports():
        from seglight.commands.card import run  # imports torch and lightning

    run.main(with_recipe_of_model(args))


def _given(args: list[str], option: str) -> str | None:
    """The value of an option as it is given last; None if it is not."""
    value = None
    for index, arg in enumerate(args):
        name, equals, text = arg.partition("=")
        if name == option:
            value = text if equals else next(iter(args[index + 1 : index + 2]), None)
    return value
