"""`card` on the command line: refuses a wrong folder and wrong lists before anything heavy is imported."""

from seglight.commands.card.given import check_given
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

    run.main(with_recipe_of_model(args))
