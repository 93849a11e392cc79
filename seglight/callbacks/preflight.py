"""Callback that checks the net with a training image before the first step, and writes the recipe."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.accelerators import CPUAccelerator

from seglight.errors import say
from seglight.system.atomic import atomic_write
from seglight.training.half_precision import cpu_flags, slow_precision


class Preflight(Callback):
    """Checks the net with a training image, warns about a slow precision, and then writes the recipe.

    Args:
        path: File that the recipe is written to; `validate` and `test` do not replace an existing one.
        recipe: Recipe as YAML.
    """

    def __init__(self, path: Path, recipe: str) -> None:
        self.path = path
        self.recipe = recipe

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Warn about a precision that is slow on this CPU."""
        if trainer.is_global_zero and isinstance(trainer.accelerator, CPUAccelerator):
            slow = slow_precision(str(trainer.precision), cpu_flags())
            if slow is not None:
                say(slow)

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Refuse images that the net can't be trained on, before anything is written."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        pl_module.check_example(data.example()["image"][None], data.batch_size)
        self._write(trainer, again=True)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the recipe of `validate`."""
        self._write(trainer, again=False)

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the recipe of `test`."""
        self._write(trainer, again=False)

    def _write(self, trainer: Trainer, again: bool) -> None:
        if trainer.is_global_zero and (again or not self.path.exists()):
            atomic_write(self.path, self.recipe)
