"""Options of `fit`, `validate` and `test` beside those of module, data module and trainer."""

from typing import Literal

from jsonargparse import ArgumentParser

from seglight.interfaces import Inferer


def add_options(parser: ArgumentParser) -> None:
    """Add the options of a run."""
    parser.add_argument("--run_dir", type=str | None, default=None, help="folder of the run, for all of its files")
    about = "fit: resume the run in --run_dir, or start it; 'force': even if the recipe has changed"
    parser.add_argument("--resume", type=Literal["exact", "force"] | None, nargs="?", const="exact", help=about)
    about = "how images are evaluated, such as by seglight.inference.SlidingWindow; default: whole, in one pass"
    parser.add_argument("--inferer", type=Inferer | None, help=about)
    about = "one training per seed, such as 0,1,2; for fit, on the command line only"
    parser.add_argument("--seeds", type=type(None), help=about)
    about = "fit: whether a loss or gradient that is not finite stops the run, or the step is left out"
    parser.add_argument("--on_nonfinite", type=Literal["stop", "skip"], default="stop", help=about)
    about = "loggers: any of csv,tensorboard,wandb,mlflow with commas between; default: tensorboard"
    parser.add_argument("--logger", type=str | None, help=about)
    about = "fit: score and number of validations without improvement that stop the run, such as val/miou:5"
    parser.add_argument("--early_stopping", type=str | None, help=about)
