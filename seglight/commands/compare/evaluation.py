"""Models as sides of a comparison: they are scored first, as `validate` and `test` do."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from seglight.commands.compare.sides import Side, Training, read_training
from seglight.errors import UserError, say
from seglight.system.recipe_files import read_recipe


class Evaluation:
    """Scores models, in a temporary folder that is removed at the end.

    Args:
        config: Recipe with the data; None: that of the model's run.
        split: "val" or "test"; None: "val".

    Raises:
        UserError: The recipe has no data.
    """

    def __init__(self, config: str | None, split: Literal["val", "test"] | None) -> None:
        self.recipe: dict[str, Any] = {} if config is None else read_recipe(config)
        if config is not None and not isinstance(self.recipe.get("data"), dict):
            raise UserError(f"--config {config}: there is no data: part in it: give a recipe of `fit`")
        self.split = split
        self.scored = 0

    def __enter__(self) -> "Evaluation":
        self.folder = TemporaryDirectory(prefix="seglight-compare-")
        return self

    def __exit__(self, *error: object) -> None:
        self.folder.cleanup()

    def score(self, model: Path) -> Training:
        """Score a model.

        Args:
            model: A checkpoint, a released folder, or a run folder without counts per image.

        Raises:
            UserError: It can't be read, or its data is not known.
        """
        from seglight.commands.fit.python import evaluate  # imports torch and lightning

        split = self.split or "val"
        say(f"scoring {model} on the {split} split")
        folder = Path(self.folder.name, str(self.scored))
        self.scored += 1
        evaluate(model, self.recipe.get("data"), split, run_dir=folder, inferer=self.recipe.get("inferer"))
        return read_training(folder, model)

    def check_split(self, sides: Sequence[Side]) -> None:
        """Check that stored scores are of the split that was asked for.

        Raises:
            UserError: One is of another split.
        """
        for training in (training for side in sides for training in side.trainings):
            if self.split is not None and training.scored.split != self.split:
                command = "validate" if self.split == "val" else "test"
                raise UserError(
                    f"{training.path}: its scores are of the {training.scored.split} split, not of --split "
                    f"{self.split}: score it by `seglight {command}` first, or leave --split out"
                )
