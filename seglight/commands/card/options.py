"""The options of `card`, and what they mean."""

from argparse import RawDescriptionHelpFormatter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace
from jsonargparse.typing import PositiveInt

from seglight.checkpoints.release import is_release
from seglight.commands.card.attack_list import DEFAULT, parse_attacks
from seglight.commands.card.corruption_list import kinds_of
from seglight.commands.card.evaluation import Machine, Split
from seglight.commands.card.given import TRIALS, check_trials_asked
from seglight.commands.card.robustness import Trials
from seglight.data import SegmentationDataModule
from seglight.errors import UserError, one_line
from seglight.interfaces import Inferer
from seglight.system.parsing import new_parser
from seglight.system.recipe_files import check_one_training, run_folder_of
from seglight.system.run_files import BEST, CHECKPOINTS, LAST

DESCRIPTION = """Measure the quality of a net on a split, and write it as a page, as numbers and as pictures.

  seglight card MODEL [--config RECIPE] [--split val] --out DIR

MODEL is a run folder of `seglight fit`, whose best checkpoint is read and whose recipe names the data; or a checkpoint
or a folder of `seglight release`, with a recipe of the data by --config. DIR gets:

  card.html          the page: one file that loads nothing, for the screen and for print
  card.json          all numbers of the page
  pictures/*.png     the worst and the best images, with what is wrong in them
  image_*.npz        the counts of each image, which `scores` and `compare` read

The score is that of `seglight validate`, or of `test`, to the last bit, for any number of processes.
"""

PARTS = ("inferer", "trainer.accelerator", "trainer.precision")
"""Parts of a recipe that `card` takes beside the data."""

PLACES = ("model", "out", "ckpt", "config", "devices", "trust", "reference", "transfer")
"""Options on which no number that is kept depends, or whose weights' checksum is kept with the numbers."""


@dataclass(frozen=True)
class Task:
    """What a card is made of.

    Args:
        model: Checkpoint or released folder.
        data: Data module, not set up.
        out: Folder of the card.
        split: Split that is scored.
        recipe: Paths of the recipes that describe the data, as text; None if there are none.
        run: Run folder of the model; None if it is in none.
        inferer: How images are predicted; None: each whole, in one pass.
        groups: File or pattern of groups of images.
        calibrate: Whether the best temperature is kept in a copy of the model.
        trials: Corruptions and attacks that the net is tried with; None: none.
        machine: Where the passes run.
        trust: Further packages whose classes the model may name.
    """

    model: Path
    data: SegmentationDataModule
    out: Path
    split: Split
    recipe: str | None
    run: Path | None
    inferer: Inferer | None
    groups: str | None
    calibrate: bool
    trials: Trials | None
    machine: Machine
    trust: tuple[str, ...]


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def card_parser() -> ArgumentParser:
    """Parser of the options of `card`, without those of `parse_recipe`."""
    parser = new_parser("card", DESCRIPTION, print_config=None, formatter_class=_Help)
    parser.add_argument("model", type=str, help="run folder, checkpoint or released folder")
    parser.add_argument("--out", type=str, required=True, metavar="DIR", help="folder of the card: new or empty")
    about = "of a run: best, last or a file"
    parser.add_argument("--ckpt", type=str | None, default=None, metavar="NAME", help=about)
    parser.add_argument("--split", type=Literal["val", "test"], default="val", help="split that is scored")
    about = "groups that intervals draw: file of lines `image,group`, or regular expression of names"
    parser.add_argument("--groups", type=str | None, default=None, metavar="FILE", help=about)
    about = "write a copy of the model that keeps the best temperature: DIR/calibrated.ckpt, or DIR/calibrated"
    parser.add_argument("--calibrate", action="store_true", help=about)
    about = "try corruptions and attacks, too, which can be resumed"
    parser.add_argument("--robustness", action="store_true", help=about)
    about = f"with radii; {DEFAULT} by default"
    parser.add_argument("--attacks", type=str | None, default=None, metavar="LIST", help=about)
    about = "steps of an attack, 50 by default"
    parser.add_argument("--attack_steps", type=PositiveInt | None, default=None, metavar="N", help=about)
    about = "images to attack, 100 by default"
    parser.add_argument("--attack_images", type=PositiveInt | None, default=None, metavar="N", help=about)
    about = "another net to attack, as a check"
    parser.add_argument("--transfer", type=str | None, default=None, metavar="MODEL", help=about)
    about = "kinds or groups, common by default"
    parser.add_argument("--corruptions", type=str | None, default=None, metavar="LIST", help=about)
    about = "card to compare corruptions with"
    parser.add_argument("--reference", type=str | None, default=None, metavar="DIR", help=about)
    about = "number of processes that share the images, each with a device"
    parser.add_argument("--devices", type=PositiveInt, default=1, help=about)
    parser.add_argument("--inferer", type=Inferer | None, metavar="CLASS", help="as in `validate`")
    parser.add_argument("--trainer.accelerator", type=str, default="auto", help="as in `validate`")
    parser.add_argument("--trainer.precision", type=str | int, default="32-true", help="as in `validate`")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the model may name")
    return parser


def checkpoint_of(model: str, ckpt: str | None) -> Path:
    """The checkpoint or released folder that is meant.

    Args:
        model: Run folder, checkpoint or released folder.
        ckpt: Name of a checkpoint of the run folder; None: the best one.

    Raises:
        UserError: There is none.
    """
    path = Path(model)
    check_one_training(path)
    if not path.is_dir() or is_release(path):
        if ckpt is not None:
            raise UserError(f"--ckpt {ckpt}: {model} is no run folder, whose checkpoints it chooses from: leave it out")
        return path
    names = (BEST, LAST) if ckpt is None else (f"{ckpt}.ckpt", ckpt)
    candidates = [path / CHECKPOINTS / name for name in names]
    candidates += [] if ckpt is None else [Path(ckpt)]
    found = next((one for one in candidates if one.is_file()), None)
    if found is None:
        raise UserError(f"{model}: no such checkpoint in it: looked for {', '.join(map(str, candidates))}")
    return found


def task_of(options: Namespace, checkpoint: Path, recipes: list[str]) -> Task:
    """The task of the options, whose classes are built.

    Args:
        options: Options of `card_parser`.
        checkpoint: Checkpoint or released folder.
        recipes: Paths of the recipes.
    """
    trainer = options.trainer
    return Task(
        model=checkpoint,
        data=options.data,
        out=Path(options.out),
        split=options.split,
        recipe=", ".join(recipes) or None,
        run=run_folder_of(str(checkpoint)),
        inferer=options.inferer,
        groups=options.groups,
        calibrate=options.calibrate,
        trials=trials_of(options),
        machine=Machine(trainer.accelerator, options.devices, trainer.precision),
        trust=tuple(options.trust),
    )


def trials_of(options: Namespace) -> Trials | None:
    """What the net is tried with; None without --robustness.

    Raises:
        UserError: A list is wrong, or an option of --robustness is given without it.
    """
    check_trials_asked({name: options[name] for name in TRIALS}, options.robustness)
    if not options.robustness:
        return None
    return Trials(
        attacks=parse_attacks(DEFAULT if options.attacks is None else options.attacks),
        steps=options.attack_steps or 50,
        images=options.attack_images or 100,
        kinds=kinds_of("common" if options.corruptions is None else options.corruptions),
        reference=None if options.reference is None else Path(options.reference),
        transfer=None if options.transfer is None else _transfer(options.transfer),
    )


def _transfer(model: str) -> Path:
    try:
        return checkpoint_of(model, None)
    except UserError as error:
        raise UserError(f"--transfer {one_line(error)}") from error


def identity_of(options: Namespace) -> dict[str, str]:
    """Options that numbers depend on, as text."""
    described: dict[str, Any] = vars(options.as_flat())
    return {key: str(value) for key, value in described.items() if key.partition(".")[0] not in PLACES}
