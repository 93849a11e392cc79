"""Whether a net was trained on the images whose labels it judges."""

from dataclasses import dataclass
from pathlib import Path

from seglight.commands.recipe import datamodule_from
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.errors import UserError
from seglight.interfaces import Labelled
from seglight.system.parsing import new_parser
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, RECIPE_FILE


@dataclass(frozen=True)
class HeldOut:
    """What is known of the training of the net.

    Args:
        trained_on: Number of judged images that the net was trained on; None: not known.
        images: Number of judged images.
        chosen_by: Number of judged images by whose score the checkpoint was chosen among those of its run.
    """

    trained_on: int | None
    images: int
    chosen_by: int = 0

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

    @property
    def choice(self) -> str | None:
        """Sentence for the user on the choice of the checkpoint; None: it is not known to be chosen by these images."""
        if not self.chosen_by:
            return None
        which = "these" if self.chosen_by == self.images else f"{self.chosen_by} of these {self.images}"
        return f"{BEST} was chosen by its score on {which} images, wrong labels included: {LAST} of the run was not."


def checkpoint_of(model: str) -> str:
    """The checkpoint of a run folder; any other model as it is."""
    best = Path(model, CHECKPOINTS, BEST)
    return str(best) if best.is_file() else model


def run_of(model: str) -> Path | None:
    """The run folder that a model is or lies in; None: there is none."""
    path = Path(model)
    folder = path.parent.parent if path.parent.name == CHECKPOINTS else path
    return folder if (folder / RECIPE_FILE).is_file() else None


def held_out(model: str, split: Labelled, root: Path | None) -> HeldOut:
    """Compare the judged images with those of the recipe of the model's run.

    Images are the same if they are one file, or have the same path below the folders of two data sets, as in a copy.

    Args:
        model: Run folder, checkpoint or released folder.
        split: The judged images.
        root: Folder of the data set, or None.
    """
    judged = _files(split, root)
    run = run_of(model)
    if run is None or not judged:
        return HeldOut(None, len(split))
    try:
        datamodule, _ = datamodule_from(new_parser("doctor"), ["--config", str(run / RECIPE_FILE)])
        trained = _common(judged, datamodule, "train")
    except UserError:  # the data of the run are not there any more
        return HeldOut(None, len(split))
    try:
        chosen_by = _common(judged, datamodule, "val") if Path(checkpoint_of(model)).name == BEST else 0
    except UserError:  # the same for its validation images
        chosen_by = 0
    return HeldOut(trained, len(split), chosen_by)


def _common(judged: list[set[Path]], datamodule: SegmentationDataModule, split: str) -> int:
    """Number of judged images that are in a split of another data set."""
    root = datamodule.root if isinstance(datamodule, FileDataModule) else None
    known = {path for paths in _files(datamodule.split(split), root) for path in paths}
    return sum(not known.isdisjoint(paths) for paths in judged)


def _files(split: Labelled, root: Path | None) -> list[set[Path]]:
    """Of each image that is a file its full path, and that below the data set's folder."""
    found = []
    for index in range(len(split)):
        for path in split.sources(index)[:1]:
            below = {path.relative_to(root)} if root is not None and path.is_relative_to(root) else set()
            found.append({path.resolve(), *below})
    return found
