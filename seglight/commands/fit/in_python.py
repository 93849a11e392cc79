"""What `seglight.fit` and `seglight.evaluate` leave as it was, and their errors, which name arguments, not options."""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from seglight.errors import UserError, user_error_behind
from seglight.training.before_run import VERBOSE_CALLBACKS

LOGGERS = (
    "lightning.pytorch",
    "lightning.fabric",
    "lightning.pytorch.callbacks",
    "lightning.fabric.utilities.rank_zero",
)
"""Loggers whose levels a command sets."""

ARGUMENTS = "run_dir|inferer|on_nonfinite|logger|early_stopping"
WORDS = (
    (
        r"^unrecognized arguments: --trainer\.(\w+)(?:=.*?)?(?=: did you mean| \(see|$)",
        r"\1 is no argument of Lightning's Trainer",
    ),
    (r" \(see `seglight (fit|validate|test) --help`\)", ""),
    (r"--resume force", 'resume="force"'),
    (r"--resume\b", "resume=True"),
    (r"--on_nonfinite (\w+)", r'on_nonfinite="\1"'),
    (r"--(logger|early_stopping) (\S+?)(?=:(?: |$))", r'\1="\2"'),
    (rf"--({ARGUMENTS}) (?=[A-Z]+\b|\S*/)", r"\1="),
    (rf"--({ARGUMENTS})\b", r"\1="),
    (r"add --config RECIPE", "give a recipe"),
    (r"(?:--)?\btrainer\.(?=[a-z_]+\b)", ""),
    (r"--(?=(?:data|model)\.)", ""),
)
"""Expressions of command lines, and what stands in their place."""


def spoken(text: str, built_data: bool) -> str:
    """An error of a command in terms of Python: `run_dir=` for `--run_dir`, `max_epochs` for `trainer.max_epochs`.

    Args:
        text: The error.
        built_data: Whether the data module was built in Python: its arguments are named, not keys of a recipe.
    """
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"\bdata\.(?:init_args\.)?(\w+)\b(?!\.)", r"\1=", text) if built_data else text


@contextmanager
def in_python(function: str, built_data: bool) -> Iterator[None]:
    """Let warnings and loggers be as they were afterwards, and a mistake be a UserError wherever it was found.

    Args:
        function: Function that was called.
        built_data: As for `spoken`.

    Raises:
        UserError: The user's mistake; or this is not the main thread, the only one that receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UserError(f"{function}: call it from the main thread, which receives the signals that stop a run")
    try:
        with warnings.catch_warnings(), _same_loggers():
            yield
    except Exception as error:
        mistake = user_error_behind(error)
        if mistake is None:
            raise
        raise UserError(spoken(str(mistake), built_data)) from None  # the causes say no more, in a hundred lines


@contextmanager
def _same_loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, list(logger.filters)) for logger in loggers]
    try:
        yield
    finally:
        for logger, (level, filters) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            if VERBOSE_CALLBACKS not in filters:
                logger.removeFilter(VERBOSE_CALLBACKS)
