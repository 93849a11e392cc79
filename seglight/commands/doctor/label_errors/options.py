"""Options of `doctor` that make it judge labels by a net. Imports no torch: most runs of `doctor` need none."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from seglight.errors import UserError
from seglight.system.recipe_files import config_paths
from seglight.system.run_files import CHECKPOINTS, RECIPE_FILE

TOP = 100
"""Regions and images that are reported unless --top gives their number."""

CLASS_OPTIONS = ("--data", "--data.class_path")
"""Options that choose the class of the data."""

OWN = ("--model", "--folds", "--split", "--out", "--top")
"""Options that are not those of `fit`."""


@dataclass(frozen=True)
class LabelOptions:
    """How labels are judged.

    Args:
        model: Run folder, checkpoint or released folder that judges; None: the nets of the folds do.
        folds: Number of folds, or None.
        split: Name of the split.
        out: Folder of the report.
        top: Number of regions and of images that are reported.
        recipe: Options of `fit` that select recipe and data, for the nets of the folds.
    """

    model: str | None
    folds: int | None
    split: str
    out: Path
    top: int
    recipe: Sequence[str]


def add_options(parser: ArgumentParser) -> None:
    """Add the options."""
    about = "run folder, checkpoint or released folder: report labels that this net contradicts, instead of the files"
    parser.add_argument("--model", type=str | None, default=None, metavar="CKPT", help=about)
    about = "number of nets, each trained on the other images, that judge the training split"
    parser.add_argument("--folds", type=int | None, default=None, metavar="K", help=about)
    about = "split whose labels --model judges: train, val or test; val by default"
    parser.add_argument("--split", type=str | None, default=None, help=about)
    about = "new folder for the page, JSON, COCO and LabelMe files of --model or --folds"
    parser.add_argument("--out", type=str | None, default=None, metavar="DIR", help=about)
    about = f"number of regions and images in the report of --model or --folds; {TOP} by default"
    parser.add_argument("--top", type=int | None, default=None, metavar="N", help=about)


def with_recipe_of_model(args: list[str]) -> list[str]:
    """Put the recipe of the model's run folder in front of the arguments, unless a recipe or a class of data is given.

    Options of the data, such as `--data.root DIR`, change those of the recipe.

    Args:
        args: Arguments of `doctor`.
    """
    if any(config_paths(args)) or any(arg.partition("=")[0] in CLASS_OPTIONS for arg in args):
        return args
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model")
    try:
        model = parser.parse_known_args(args)[0].model
    except SystemExit:  # no value follows it, which the parser of the command reports
        return args
    if model is None:
        return args
    path = Path(model)
    recipe = (path.parent.parent if path.parent.name == CHECKPOINTS else path) / RECIPE_FILE
    return ["--config", str(recipe), *args] if recipe.is_file() else args


def label_options(options: Namespace, args: list[str]) -> LabelOptions | None:
    """The options, checked; None: files are checked, not labels.

    Args:
        options: Parsed options of `doctor`.
        args: Its arguments.

    Raises:
        UserError: Options do not belong together, or are out of range.
    """
    if options.model is None and options.folds is None:
        lonely = next((name for name in ("split", "out", "top") if options[name] is not None), None)
        if lonely is not None:
            raise UserError(f"--{lonely}: it belongs to --model or --folds: add one of them, or leave it out")
        return None
    own = "--model" if options.folds is None else "--folds"
    _check_company(options, own)
    if options.out is None:
        raise UserError(f"{own}: no folder for the report is given: add --out DIR")
    if options.folds is not None and options.folds < 2:
        raise UserError(f"--folds {options.folds}: give 2 or more")
    if options.top is not None and options.top < 1:
        raise UserError(f"--top {options.top}: give 1 or more")
    split = options.split or ("val" if options.folds is None else "train")
    if split not in ("train", "val", "test") or (options.folds is not None and split != "train"):
        raise UserError(
            f"--split {split}: "
            + (
                "give train, val or test"
                if options.folds is None
                else "--folds judges the training split: leave it out"
            )
        )
    top = TOP if options.top is None else options.top
    return LabelOptions(options.model, options.folds, split, Path(options.out), top, fit_options(args))


def _check_company(options: Namespace, own: str) -> None:
    if options.model is not None and options.folds is not None:
        raise UserError("--model beside --folds: leave it out, the nets that judge are trained")
    for name in ("fix", "json"):
        if options[name] is not None:
            raise UserError(f"--{name} beside {own}: leave it out, the report on labels is in the folder of --out")


def fit_options(args: Sequence[str]) -> list[str]:
    """The arguments that `fit` takes: all but the options of this command.

    Args:
        args: Arguments of `doctor`.
    """
    kept: list[str] = []
    rest = iter(args)
    for arg in rest:
        option, equals, _ = arg.partition("=")
        if option in OWN:
            if not equals:
                next(rest, None)
        else:
            kept.append(arg)
    return kept
