"""The callbacks of every run, beside those of its recipe: what they show, and what they write into the run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import ProgressBar as AnyProgressBar

from seglight.callbacks import (
    ConfusionFigure,
    Environment,
    ExactCheckpoint,
    ImagePanels,
    ImageScores,
    LabelledPixels,
    MetricsFile,
    NonFinite,
    Preflight,
    ProgressBar,
    RunReport,
    Throughput,
)
from seglight.callbacks.best_checkpoint import BestCheckpoint
from seglight.system.run_files import CHECKPOINTS, ENVIRONMENT_FILE, METRICS_FILE, RECIPE_FILE
from seglight.training.resume.folder import flat


@dataclass(frozen=True)
class RunCallbacks:
    """What decides the callbacks of a run.

    Args:
        run_dir: Folder of the run.
        recipe: Recipe as YAML.
        trainer: Options of the trainer, with its callbacks built.
        temporary: Whether the folder of an evaluation is removed after it.
    """

    run_dir: Path
    recipe: str
    trainer: Namespace
    temporary: bool = False

    def of_training(self, given: list[Callback], on_nonfinite: Any) -> list[Callback]:
        """All callbacks of a training, in their order: the exact checkpoint comes first.

        Args:
            given: Callbacks of the recipe.
            on_nonfinite: What is done about a loss or a gradient that is not finite: "stop" or "skip".
        """
        saves = self.trainer.enable_checkpointing is not False
        exact: list[Callback] = [callback for callback in given if isinstance(callback, ExactCheckpoint)]
        others = [callback for callback in given if not isinstance(callback, ExactCheckpoint)]
        return [
            *((exact or [ExactCheckpoint()]) if saves else []),
            *others,
            *self._of_both(given, None),
            NonFinite(on_nonfinite),
            MetricsFile(self.run_dir / METRICS_FILE),
            Environment(self.run_dir / ENVIRONMENT_FILE),
            LabelledPixels(),
            Throughput(),
            ImagePanels(self.run_dir),
            ConfusionFigure(),
            *([BestCheckpoint(self.run_dir / CHECKPOINTS)] if saves else []),
        ]

    def of_evaluation(self, given: list[Callback], checkpoint: dict[str, Any] | None) -> list[Callback]:
        """All callbacks of `validate` or `test`, in their order.

        Args:
            given: Callbacks of the recipe.
            checkpoint: Checkpoint that is scored.
        """
        exact = [callback for callback in given if isinstance(callback, ExactCheckpoint)]
        others = [callback for callback in given if not isinstance(callback, ExactCheckpoint)]
        return [*exact, *others, *self._of_both(given, checkpoint)]

    def _of_both(self, given: list[Callback], checkpoint: dict[str, Any] | None) -> list[Callback]:
        hyperparameters = flat(yaml.safe_load(self.recipe))
        callbacks: list[Callback] = [
            Preflight(self.run_dir / RECIPE_FILE, self.recipe),
            ImageScores(self.run_dir),
            RunReport(self.run_dir, self.recipe, hyperparameters, checkpoint, self.temporary),
        ]
        bars = [callback for callback in given if isinstance(callback, AnyProgressBar)]
        if self.trainer.enable_progress_bar is not False and not bars:
            callbacks.append(ProgressBar())
        return callbacks
