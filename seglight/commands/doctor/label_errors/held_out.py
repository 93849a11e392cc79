"""Whether a net was trained on the images whose labels it judges."""

from dataclasses import dataclass
from pathlib import Path

from seglight.commands.recipe import datamodule_from
from seglight.errors import UserError
from seglight.interfaces import Labelled
from seglight.system.parsing import new_parser
from seglight.system.run_files import BEST, CHECKPOINTS, RECIPE_FILE


@dataclass(frozen=True)
class HeldOut:
    """What is known of the training of the net.

    Args:
        trained_on: Number of judged images that the net was trained on; None: not known.
        images: Number of judged images.
    """

    trained_on: int | None
    images: int

    @property
    def remark(self) -> str | None:
        """Sentence for the user; None: the net has seen none of the images."""
        if self.trained_on == 0:
            return None
        if self.trained_on is None:
            known = "It is not known which images the net was trained on."
        else:
            known = f"The net was trained on {self.trained_on} of these {self.images} images."
        return (
            f"{known} It agrees with labels that it has learnt, so that more of them are wrong than are found: "
            "--folds K judges each image by a net that was trained without it."
        )


def checkpoint_of(model: str) -> str:
    """The checkpoint of a run folder; any other model as it is."""
    best = Path(model, CHECKPOINTS, BEST)
    return str(best) if best.is_file() else model


def run_of(model: str) -> Path | None:
    """The run folder that a model is or lies in; None: there is none."""
    path = Path(model)
    folder = path.parent.parent if path.parent.name == CHECKPOINTS else path
    return folder if (folder / RECIPE_FILE).is_file() else None


def held_out(model: str, split: Labelled) -> HeldOut:
    """Compare the judged images with those of the recipe of the model's run.

    Args:
        model: Run folder, checkpoint or released folder.
        split: The judged images.
    """
    judged = _files(split)
    run = run_of(model)
    if run is None or not judged:
        return HeldOut(None, len(split))
    try:
        datamodule, _ = datamodule_from(new_parser("doctor"), ["--config", str(run / RECIPE_FILE)])
        trained = _files(datamodule.split("train"))
    except UserError:  # the data of the run are not there any more
        return HeldOut(None, len(split))
    return HeldOut(len(judged & trained), len(split))


def _files(split: Labelled) -> set[Path]:
    return {sources[0].resolve() for index in range(len(split)) if (sources := split.sources(index))}
