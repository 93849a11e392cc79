"""The course of a trial while it trains: what it logs of the first objective, read on from where it was read to."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.trial import run_folders
from seglight.system.run_files import METRICS_FILE, RECIPE_FILE


class Report(NamedTuple):
    """The first objective after a validation; of several seeds, that of the first."""

    step: int
    epoch: int
    value: float


class Course:
    """Reports of one trial.

    Args:
        sweep: Of which the first objective and the seeds.
        folder: The trial's.
    """

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self.key, self.recipe = next(iter(sweep.objectives)), folder / RECIPE_FILE
        self.path = run_folders(sweep, folder)[0] / METRICS_FILE
        self.bytes = 0
        """So far it was read: to the end of a line."""
        self.by_step: dict[int, Report] = {}

    def reports(self) -> list[Report]:
        """All so far, by the order in which their steps were first logged.

        A training that goes on cuts off what it logged after its checkpoint, and logs it anew.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.bytes - 1))
                whole = self.bytes == 0 or file.read(1) == b"\n"
                if not whole:
                    file.seek(0)
                    self.bytes = 0
                text = file.read()
        except OSError:
            return list(self.by_step.values())
        complete = text[: text.rfind(b"\n") + 1]
        self.bytes += len(complete)
        for line in complete.splitlines():
            self._take(json.loads(line))
        return list(self.by_step.values())

    def goes_on_after(self, report: Report) -> bool:
        """Whether the training has more ahead of it: the last report is not pruned at."""
        trainer = yaml.safe_load(self.recipe.read_text(encoding="utf-8")).get("trainer") or {}
        epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps")
        ends = (epochs is not None and 0 <= epochs <= report.epoch + 1, steps is not None and 0 <= steps <= report.step)
        return not any(ends)

    def _take(self, line: dict[str, Any]) -> None:
        if self.key in line:
            value = math.nan if line[self.key] is None else float(line[self.key])
            self.by_step[line["step"]] = Report(line["step"], line["epoch"], value)
