"""What can be told of the options of `card` before anything heavy is imported. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from seglight.commands.card.attack_list import parse_attacks
from seglight.commands.card.folder import check_folder
from seglight.errors import UserError

TRIALS = ("attacks", "attack_steps", "attack_images", "transfer", "corruptions", "reference")
"""Options of --robustness."""


NUMBERS = ("attack_steps", "attack_images", "devices")
"""Options that take a whole number of 1 or more."""


def check_given(args: Sequence[str]) -> None:
    """Check the folder, the lists and the numbers; the checks that follow are complete.

    Args:
        args: Arguments of `card`.

    Raises:
        UserError: The folder holds anything but an unfinished card, or a list or a number is wrong.
    """
    values = {name: given(args, f"--{name}") for name in ("out", "groups", "devices", *TRIALS)}
    if values["out"]:
        check_folder(Path(values["out"]))
    check_trials_asked({name: values[name] for name in TRIALS}, "--robustness" in args)
    for name in NUMBERS:
        _check_number(name, values[name])
    if values["attacks"] is not None:
        parse_attacks(values["attacks"])
    if values["corruptions"] is not None:
        from seglight.commands.card.corruption_list import kinds_of  # imports scipy

        kinds_of(values["corruptions"])
    if values["groups"]:
        from seglight.metrics.groups import groups_of  # imports numpy

        groups_of([], values["groups"])


def _check_number(name: str, text: str | None) -> None:
    try:
        number = 1.0 if text is None else float(text)
    except ValueError:  # what the parser reads as no number, it refuses
        return
    if number < 1 or not number.is_integer():
        raise UserError(f"--{name} {text}: give a whole number of 1 or more")


def check_trials_asked(values: dict[str, object], robustness: bool) -> None:
    """Check that options of --robustness come with it.

    Args:
        values: The values of `TRIALS`; None: not given.
        robustness: Whether --robustness is given.

    Raises:
        UserError: It is not.
    """
    name = next((name for name, value in values.items() if value is not None), None)
    if name is not None and not robustness:
        raise UserError(f"--{name}: it is an option of --robustness, which is not given: add it")


def given(args: Sequence[str], option: str) -> str | None:
    """The value of an option as it is given last; None if it is not."""
    value = None
    for index, arg in enumerate(args):
        name, equals, text = arg.partition("=")
        if name == option:
            value = text if equals else next(iter(args[index + 1 : index + 2]), None)
    return value
