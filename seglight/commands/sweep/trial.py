"""A trial's run folder: the command that trains it, and what is read of its course and its end."""

import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.sweep.job import LOG, Command
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import OWN
from seglight.system.class_paths import safe_option
from seglight.system.run_files import METRICS_FILE, RECIPE_FILE, SCORES_FILE

SEGLIGHT = [sys.executable, "-m", "seglight"]
LATENCY = "latency"
COSTS = {"parameters": "parameters", "multiply_adds": "multiply_adds", LATENCY: "seconds"}
"""Objectives that `seglight summary` finds when the training is done, and what it calls them; of a 512x512 image."""

COSTS_FILE = "costs.json"
SCORE = "val/miou"


def commands(sweep: Sweep, folder: Path, seglight: Sequence[str] = SEGLIGHT, more: Sequence[str] = ()) -> list[Command]:
    """The training of a trial, or where it was, and what its costs are if they count.

    Args:
        sweep: Of which the seeds and the objectives.
        folder: The trial's; its `config.yaml` is the recipe.
        seglight: The words before the command.
        more: Keys of the recipe, as arguments of `fit`, that may have changed since the trial was proposed.
    """
    fit = [*seglight, "fit", "--run_dir", str(folder), "--resume", *safe_option()]
    if sweep.running.seeds:
        fit += ["--config", str(folder / RECIPE_FILE), "--seeds", ",".join(map(str, sweep.running.seeds))]
    costs = [costs_command(folder, seglight, more)] if COSTS.keys() & sweep.objectives.keys() else []
    return [([*fit, *more], LOG), *costs]


def costs_command(folder: Path, seglight: Sequence[str] = SEGLIGHT, more: Sequence[str] = ()) -> Command:
    """What finds the costs of the net of a trial; of `more`, as in `commands`, it takes the keys of the data."""
    data = [argument for argument in more if argument.startswith("--data")]
    words = [*seglight, "summary", "--config", str(folder / RECIPE_FILE), *data, "--json", *safe_option()]
    return words, COSTS_FILE


def run_folders(sweep: Sweep, folder: Path) -> list[Path]:
    """Those of the trainings of a trial: its own, or one a seed."""
    return [folder / f"seed_{seed}" for seed in sweep.running.seeds] or [folder]


def objectives(sweep: Sweep, folder: Path) -> list[float] | str:
    """What counts of a finished trial, the mean over its seeds; or which of it is not there."""
    values = []
    for name in sweep.objectives:
        if name in COSTS:
            found = [cost(folder / OWN, name)]
        else:
            found = [_score(run, name) for run in run_folders(sweep, folder)]
        if not all(map(math.isfinite, found)):
            return f"it ended without {name}: was it too short for a validation, or is {name} nothing that is logged?"
        values.append(statistics.fmean(found))
    return values


def last_lines(folder: Path, count: int = 20) -> str:
    """The end of a trial's log."""
    try:
        text = (folder / OWN / LOG).read_text(errors="replace", encoding="utf-8")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _lines(run: Path) -> list[dict[str, Any]]:
    try:
        text = (run / METRICS_FILE).read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _score(run: Path, name: str) -> float:
    if name == SCORE:
        return _number(_json(run / SCORES_FILE).get("miou"))
    return next((_number(line[name]) for line in reversed(_lines(run)) if name in line), math.nan)


def cost(folder: Path, name: str) -> float:
    """One of COSTS by what `summary` left in a folder; NaN where it did not."""
    try:
        return float(json.loads((folder / COSTS_FILE).read_text(encoding="utf-8"))[-1][COSTS[name]])
    except (OSError, ValueError, KeyError, IndexError):
        return math.nan


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
