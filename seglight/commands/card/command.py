"""`card` on the command line: refuses a wrong folder and wrong lists before anything heavy is imported."""

from pathlib import Path

from seglight.commands.card.folder import UNFINISHED
from seglight.commands.card.given import check_given, given
from seglight.errors import say
from seglight.system.collector import command_imports
from seglight.system.help_pages import asks_help
from seglight.system.recipe_files import with_recipe_of_model


def main(args: list[str]) -> None:
    """Run `card`.

    Raises:
        UserError: The model, the recipe or the data is wrong, or the folder holds anything but this card, unfinished.
    """
    if not asks_help(args):
        check_given(args)
    with command_imports():
        from seglight.commands.card import run  # imports torch and lightning

    try:
        run.main(with_recipe_of_model(args))
    except KeyboardInterrupt:
        out = given(args, "--out")
        if out is not None and (Path(out) / UNFINISHED).exists():
            say(f"{out}: what is finished of the card is kept: the same command continues it")
        raise
