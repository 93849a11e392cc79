"""Learning curve of a trial while it trains: the first objective after each validation, read incrementally."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.trial import run_folders
from seglight.system.run_files import METRICS_FILE, RECIPE_FILE


class Report(NamedTuple):
    """Value of the first objective after a validation; with several seeds, that of the first seed."""

    step: int
    epoch: int
    value: float


class LearningCurve:
    """Reports of one trial.

    Args:
        sweep: Sweep that defines the first objective and the seeds.
        folder: Folder of the trial.
    """

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self.key = next(iter(sweep.objectives))
        self.recipe = folder / RECIPE_FILE
        self.path = run_folders(sweep, folder)[0] / METRICS_FILE
        self.offset = 0
        """Bytes read so far, up to the end of a line."""
        self.by_step: dict[int, Report] = {}

    def reports(self) -> list[Report]:
        """All reports so far, in the order in which their steps were first logged.

        A training that is resumed removes what it logged after its checkpoint, and logs it again.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.offset - 1))
                at_line_start = self.offset == 0 or file.read(1) == b"\n"
                if not at_line_start:
                    file.seek(0)
                    self.offset = 0
                text = file.read()
        except OSError:
            return list(self.by_step.values())
        complete = text[: text.rfind(b"\n") + 1]
        self.offset += len(complete)
        for line in complete.splitlines():
            self._add(json.loads(line))
        return list(self.by_step.values())

    def continues_after(self, report: Report) -> bool:
        """Whether the training continues after a report: a trial is not pruned at its last one."""
        trainer = yaml.safe_load(self.recipe.read_text(encoding="utf-8")).get("trainer") or {}
        epochs = trainer.get("max_epochs")
        steps = trainer.get("max_steps")
        last_epoch = epochs is not None and 0 <= epochs <= report.epoch + 1
        last_step = steps is not None and 0 <= steps <= report.step
        return not (last_epoch or last_step)

    def _add(self, line: dict[str, Any]) -> None:
        if self.key in line:
            value = math.nan if line[self.key] is None else float(line[self.key])
            self.by_step[line["step"]] = Report(line["step"], line["epoch"], value)
