"""Small sweeps that run a stand-in for `seglight`, with the real coordinator and executor."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml

from seglight.commands.executors.executor import Executor
from seglight.commands.executors.local import LocalExecutor
from seglight.commands.sweep import trial
from seglight.commands.sweep.coordinator import Coordinator
from seglight.commands.sweep.options import Running, Sweep
from seglight.commands.sweep.record import Record
from seglight.system.signals import StopSignals
from tests.support import resumable

FAKE = [sys.executable, str(Path(__file__).with_name("fake_trial.py"))]


def small_sweep(trials: int = 5, running: dict[str, Any] | None = None, **options: Any) -> Sweep:
    """A sweep of one parameter, `x`, whose best value is 0.3."""
    arguments = {"objectives": {"val/miou": "maximize"}, "space": {"x": {"range": [0.0, 1.0]}}} | options
    return Sweep(["none.yaml"], trials=trials, running=Running(**{"pause": 0.0} | (running or {})), **arguments)


def coordinator(
    folder: Path, sweep: Sweep, epochs: int = 2, executor: Executor | None = None, **recipe: Any
) -> Coordinator:
    """A coordinator on this machine with as many slots as the sweep; `recipe` holds more keys for the stand-in."""

    def recipe_of(record: Record) -> str:
        return json.dumps({"trainer": {"max_epochs": epochs}, **recipe, **record.params})

    return Coordinator(
        folder / "trials",
        sweep,
        executor or LocalExecutor([""] * sweep.running.parallel),
        recipe_of,
        lambda run: trial.trial_commands(sweep, run, FAKE),
        lambda record: None,
        StopSignals(),
        interval=0.05,
    )


def outcome(records: Sequence[Record]) -> list[Any]:
    """Results of a sweep, one entry per trial."""
    return [(record.number, record.state, record.params, record.reports, record.values) for record in records]


def lines(path: Path) -> list[int]:
    """Numbers in a file, one per line."""
    return [int(line) for line in path.read_text().split()]


def startups(count: int) -> optuna.samplers.BaseSampler:
    """Factory of a TPE sampler that starts with `count` random candidates."""
    return lambda seed: optuna.samplers.TPESampler(n_startup_trials=count, seed=seed)


LR = "model.optimizer.init_args.lr"


def written(folder: Path, **changes: Any) -> Path:
    """Write a valid sweep with some keys changed, or removed if they are None; returns the path."""
    content: dict[str, Any] = {
        "configs": [str(resumable.write_recipe(folder))],
        "objectives": {"val/miou": "maximize"},
        "space": {LR: {"log": [1e-4, 1e-2]}},
        "trials": 4,
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (content | changes).items() if value is not None}))
    return path


DISTRIBUTION = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}'


def record(number: int, x: float, state: str, value: float | None = None) -> Record:
    values = None if value is None else [value]
    return Record(number, {"x": x}, {"x": DISTRIBUTION}, {}, state, [0.1], values)  # type: ignore[arg-type]
