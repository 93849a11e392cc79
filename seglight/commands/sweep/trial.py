"""Run folder of a trial: the command that trains it, and the values of its objectives when it has ended."""

import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.executors.job import LOG, Command
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import JOB_FOLDER
from seglight.system.run_files import METRICS_FILE, RECIPE_FILE, SCORES_FILE
from seglight.system.safe_recipe import safe_option

SEGLIGHT = [sys.executable, "-m", "seglight"]
LATENCY = "latency"
COSTS = {"parameters": "parameters", "multiply_adds": "multiply_adds", LATENCY: "seconds"}
"""Objectives that `seglight summary` measures after the training on a 512x512 image, and their keys in its output."""

COSTS_FILE = "costs.json"
SCORE = "val/miou"


def trial_commands(
    sweep: Sweep, folder: Path, seglight: Sequence[str] = SEGLIGHT, extra: Sequence[str] = ()
) -> list[Command]:
    """Commands that start or resume the training of a trial, and measure the costs of its net if they are objectives.

    Args:
        sweep: Sweep that defines the seeds and the objectives.
        folder: Folder of the trial, whose `config.yaml` is the recipe.
        seglight: Words before the name of the command.
        extra: Keys of the recipe, as arguments of `fit`, that may have changed since the trial was proposed.
    """
    fit = [*seglight, "fit", "--run_dir", str(folder), "--resume", *safe_option()]
    if sweep.running.seeds:
        fit += ["--config", str(folder / RECIPE_FILE), "--seeds", ",".join(map(str, sweep.running.seeds))]
    costs = [costs_command(folder, seglight, extra)] if COSTS.keys() & sweep.objectives.keys() else []
    return [([*fit, *extra], LOG), *costs]


def costs_command(folder: Path, seglight: Sequence[str] = SEGLIGHT, extra: Sequence[str] = ()) -> Command:
    """Command that measures the costs of the net of a trial; of `extra`, it takes only the keys of the data."""
    data = [argument for argument in extra if argument.startswith("--data")]
    words = [*seglight, "summary", "--config", str(folder / RECIPE_FILE), *data, "--json", *safe_option()]
    return words, COSTS_FILE


def run_folders(sweep: Sweep, folder: Path) -> list[Path]:
    """Run folders of the trainings of a trial: the folder of the trial itself, or one per seed."""
    return [folder / f"seed_{seed}" for seed in sweep.running.seeds] or [folder]


def objective_values(sweep: Sweep, folder: Path) -> list[float] | str:
    """Values of the objectives of a finished trial, means over its seeds; or a message that names a missing one."""
    values = []
    for name in sweep.objectives:
        if name in COSTS:
            found = [cost(folder / JOB_FOLDER, name)]
        else:
            found = [_score(run, name) for run in run_folders(sweep, folder)]
        if not all(map(math.isfinite, found)):
            return f"it ended without {name}: either it was too short for a validation, or {name} is not logged"
        values.append(statistics.fmean(found))
    return values


def last_lines(folder: Path, count: int = 20) -> str:
    """Last lines of the log of a trial."""
    try:
        text = (folder / JOB_FOLDER / LOG).read_text(errors="replace", encoding="utf-8")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _logged(run: Path) -> list[dict[str, Any]]:
    try:
        text = (run / METRICS_FILE).read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _score(run: Path, name: str) -> float:
    if name == SCORE:
        return _number(_json(run / SCORES_FILE).get("miou"))
    return next((_number(line[name]) for line in reversed(_logged(run)) if name in line), math.nan)


def cost(folder: Path, name: str) -> float:
    """One of COSTS, read from the output of `summary` in a folder; NaN if it is missing."""
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
