"""Errors of `seglight.fit` in terms of Python, and what it leaves as it was."""

import logging
import warnings
from pathlib import Path

import pytest

import seglight
from seglight.commands.fit.in_python import LOGGERS, in_python, spoken
from seglight.commands.fit.messages import quiet_lightning
from seglight.data import Augmentation, CamVidDataModule
from seglight.errors import UserError
from seglight.training.before_run import VERBOSE_CALLBACKS

LINES = [
    ("DIR holds a run: choose another --run_dir, or resume it with --resume",
     "DIR holds a run: choose another run_dir=, or resume it with resume=True"),
    ("--run_dir a/b: lies in the data set", "run_dir=a/b: lies in the data set"),
    ("no folder is given: add --run_dir DIR", "no folder is given: add run_dir=DIR"),
    ("the recipe has changed (--resume force resumes nevertheless)",
     'the recipe has changed (resume="force" resumes nevertheless)'),
    ("use --on_nonfinite skip and trainer.gradient_clip_val", 'use on_nonfinite="skip" and gradient_clip_val'),
    ("trainer.max_epochs 0: give a whole number", "max_epochs 0: give a whole number"),
    ("unrecognized arguments: --trainer.max_epoch=3: did you mean --trainer.max_epochs? (see `seglight fit --help`)",
     "max_epoch is no argument of Lightning's Trainer: did you mean max_epochs?"),
    ("unrecognized arguments: --trainer.xyz=3 (see `seglight validate --help`)",
     "xyz is no argument of Lightning's Trainer"),
    ("--logger cvs: there is no logger cvs", 'logger="cvs": there is no logger cvs'),
    ("with --model.weights FILE", "with model.weights FILE"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "python"), LINES)
def test_options_are_arguments(command: str, python: str) -> None:
    assert spoken(command, built_data=False) == python


def test_keys_of_the_data_are_arguments_of_a_module_that_was_built() -> None:
    text = "set data.root to the right place, or lower data.init_args.batch_size"
    assert spoken(text, built_data=True) == "set root= to the right place, or lower batch_size="
    assert spoken("set data.root to the right place", built_data=False) == "set data.root to the right place"


def test_mistakes_through_fit(tmp_path: Path) -> None:
    recipe = "configs/quickstart.yaml"
    with pytest.raises(UserError, match=r"^max_epoch is no argument of .*: did you mean max_epochs\?$"):
        seglight.fit(recipe, run_dir=tmp_path / "run", max_epoch=3)
    with pytest.raises(UserError) as caught:
        seglight.fit(recipe, run_dir=tmp_path / "run", max_epoch=3)
    assert caught.value.__suppress_context__, "a traceback of the parser in front of it"
    with pytest.raises(UserError, match=r"set root= to the right place$"):
        seglight.fit(recipe, CamVidDataModule(str(tmp_path / "data"), Augmentation(32)), run_dir=tmp_path / "run")
    with pytest.raises(UserError, match=r"add run_dir=DIR$"):
        seglight.fit(resume=True)


def test_levels_and_filters_of_loggers_are_restored() -> None:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.level for logger in loggers]
    filters = list(loggers[-1].filters)
    try:
        loggers[0].setLevel(logging.DEBUG)
        loggers[-1].removeFilter(VERBOSE_CALLBACKS)
        with warnings.catch_warnings(), in_python("seglight.fit", built_data=False):
            quiet_lightning()
            assert loggers[0].level == logging.WARNING
            assert VERBOSE_CALLBACKS in loggers[-1].filters
        assert [logger.level for logger in loggers] == [logging.DEBUG, *before[1:]]
        assert VERBOSE_CALLBACKS not in loggers[-1].filters
    finally:
        loggers[0].setLevel(before[0])
        for each in filters:
            loggers[-1].addFilter(each)
