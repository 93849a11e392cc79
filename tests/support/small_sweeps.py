"""Small sweeps of a stand-in for `seglight`, run by the real coordinator in processes of the real executor."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml

from seglight.commands.sweep import trial
from seglight.commands.sweep.coordinator import Coordinator
from seglight.commands.sweep.executors.executor import Executor
from seglight.commands.sweep.executors.local import LocalExecutor
from seglight.commands.sweep.options import Running, Sweep
from seglight.commands.sweep.record import Record
from seglight.system.signals import StopSignals
from tests.support import resumable

FAKE = [sys.executable, str(Path(__file__).with_name("fake_trial.py"))]


def small_sweep(trials: int = 5, running: dict[str, Any] | None = None, **options: Any) -> Sweep:
    """One parameter, `x`, best at 0.3."""
    given = {"objectives": {"val/miou": "maximize"}, "space": {"x": {"range": [0.0, 1.0]}}} | options
    return Sweep(["none.yaml"], trials=trials, running=Running(**{"pause": 0.0} | (running or {})), **given)


def coordinator(
    folder: Path, sweep: Sweep, epochs: int = 2, executor: Executor | None = None, **recipe: Any
) -> Coordinator:
    """In as many slots as the sweep has, here; `recipe` holds what else the stand-in is told."""

    def recipe_of(record: Record) -> str:
        return json.dumps({"trainer": {"max_epochs": epochs}, **recipe, **record.params})

    return Coordinator(
        folder / "trials",
        sweep,
        executor or LocalExecutor([""] * sweep.running.parallel),
        recipe_of,
        lambda run: trial.commands(sweep, run, FAKE),
        lambda record: None,
        StopSignals(),
        every=0.05,
    )


def outcome(records: Sequence[Record]) -> list[Any]:
    """What a sweep found out, trial by trial."""
    return [(record.number, record.state, record.params, record.reports, record.values) for record in records]


def lines(path: Path) -> list[int]:
    """Of a file of numbers."""
    return [int(line) for line in path.read_text().split()]


def startups(count: int) -> optuna.samplers.BaseSampler:
    """Parzen trees after so many random candidates."""
    return lambda seed: optuna.samplers.TPESampler(n_startup_trials=count, seed=seed)


LR = "model.optimizer.init_args.lr"


def written(folder: Path, **changes: Any) -> Path:
    """A good sweep with some of its keys changed, or taken away where None."""
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
