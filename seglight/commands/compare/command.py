"""Compare trainings or nets that were scored on the same split: differences with 95 % intervals, and what they mean."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seglight.errors import UserError
from seglight.system.parsing import new_parser, parse_arguments

if TYPE_CHECKING:
    from seglight.commands.compare.result import Result

FILE = "compare.json"
PAGE = "compare.html"


def compare(
    sides: Sequence[str],
    *,
    config: str | None = None,
    split: Literal["val", "test"] | None = None,
    groups: str | None = None,
    out: str | None = None,
    json_file: str | None = None,
    seed_deviation: float | None = None,
) -> "Result":
    """Compare sides, print the tables, and write what is asked for.

    Args:
        sides: For each side a run folder, a folder of `card`, a folder of `fit --seeds`, a checkpoint or a released
            folder, or several of these with commas between them, which are trainings of one recipe.
        config: Recipe with the data that checkpoints and released folders are scored on; None: that of their run.
        split: Split that was scored; None: any, and "val" for models.
        groups: Groups of images that resemble each other, as for `groups_of`.
        out: Folder for `compare.json` and `compare.html`, new or empty.
        json_file: File for the result, which must not exist.
        seed_deviation: Assumed standard deviation of the mIoU between trainings of one recipe, which the verdicts allow
            for if no side has several trainings. None: 0.01. With 0 the verdicts are about these nets.

    Returns:
        The content of `compare.json`.

    Raises:
        UserError: A side can't be read or scored, the sides were not scored on the same images, or a file is there.
    """
    _check_free(out, json_file)
    from seglight.commands.compare.evaluation import Evaluation  # numpy and scipy, and torch where a model is scored
    from seglight.commands.compare.result import compared
    from seglight.commands.compare.sides import read_sides
    from seglight.commands.compare.tables import show
    from seglight.metrics.comparison import SEED_DEVIATION
    from seglight.metrics.groups import groups_of
    from seglight.system.atomic import atomic_write
    from seglight.system.terminal import plain_console

    deviation = SEED_DEVIATION if seed_deviation is None else seed_deviation
    if not (math.isfinite(deviation) and 0 <= deviation <= 1):
        raise UserError(f"--seed_deviation {deviation:g}: give a standard deviation of the mIoU between 0 and 1")
    groups_of([], groups)  # a mistake in it is reported before a model is scored
    with Evaluation(config, split) as evaluation:
        read = read_sides(sides, evaluation.score)
        evaluation.check_split(read)
        result = compared(read, groups, deviation)
        show(plain_console(), result)
        if out is not None:
            from seglight.commands.compare.page import write_page
            from seglight.commands.compare.pictures import changed_pictures

            Path(out).mkdir(parents=True, exist_ok=True)
            write_page(result, changed_pictures(read, result, config), Path(out, PAGE))
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    files = [None if out is None else Path(out, FILE), None if json_file is None else Path(json_file)]
    for path in (path for path in files if path is not None):
        atomic_write(path, text)
        plain_console().print(f"written     {path}")
    return result


def _check_free(out: str | None, json_file: str | None) -> None:
    """Refuse to write over anything."""
    if out is not None and Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise UserError(f"--out {out}: there is something already: give a folder that is new or empty")
    if json_file is not None and Path(json_file).exists():
        raise UserError(f"--json {json_file}: there is a file already: give a new one")


def main(args: list[str]) -> None:
    """Run `compare`.

    Raises:
        UserError: See `compare`, or the arguments are wrong.
    """
    parser = new_parser("compare", __doc__)
    parser.add_argument(
        "sides",
        type=str,
        nargs="+",
        help="run folders, folders of `card` or of `fit --seeds`, checkpoints, released folders; several trainings of "
        "one recipe with commas between them",
    )
    parser.add_argument(
        "--config",
        type=str | None,
        default=None,
        help="recipe with the data that models are scored on; default: that of their run",
    )
    parser.add_argument(
        "--split",
        type=Literal["val", "test"] | None,
        default=None,
        help="split of the scores; default: any, and val for models",
    )
    parser.add_argument(
        "--groups",
        type=str | None,
        default=None,
        help="file of lines image,group, or regular expression with one (group) in the names of images",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        metavar="DIR",
        help="folder for compare.html and compare.json, new or empty",
    )
    parser.add_argument("--json", type=str | None, default=None, metavar="FILE", help="file for the result")
    parser.add_argument(
        "--seed_deviation",
        type=float | None,
        default=None,
        help="assumed standard deviation of the mIoU between trainings, with one training a side; default 0.01",
    )
    found = parse_arguments(parser, args[1:])
    compare(
        found.sides,
        config=found.config,
        split=found.split,
        groups=found.groups,
        out=found.out,
        json_file=found.json,
        seed_deviation=found.seed_deviation,
    )
