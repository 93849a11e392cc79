"""A study rebuilt from records proposes and prunes as an uninterrupted study of Optuna does."""

from typing import Any

import optuna
import pytest

from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import Record
from seglight.commands.sweep.study import new_record, should_prune
from tests.support.small_sweeps import small_sweep

GRID = {"x": [0.0, 0.3, 0.9, 0.5, 0.1, 0.8, 0.2, 0.6, 0.4, 1.0, 0.7, 0.35, 0.25]}
EPOCHS = 9


def score(x: float, epoch: int) -> float:
    """Score that rises with the epochs."""
    return (1 - (x - 0.3) ** 2) * epoch / EPOCHS


def grid(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GridSampler(GRID, seed=seed)


def ours(sweep: Sweep) -> list[Record]:
    """Run the trials one after the other, with nothing but their records as state."""
    records: list[Record] = []
    for _ in range(sweep.trials):
        record = new_record(sweep, records)
        records.append(record)
        for epoch in range(1, EPOCHS + 1):
            record.reports.append(score(record.params["x"], epoch))
            if should_prune(sweep, records, record.number):
                record.state = "pruned"
                break
        else:
            record.state, record.values = "finished", record.reports[-1:]
    return records


PRUNERS: list[tuple[Any, dict[str, Any]]] = [
    (optuna.pruners.SuccessiveHalvingPruner, {"min_resource": 1, "reduction_factor": 3}),
    (optuna.pruners.HyperbandPruner, {"min_resource": 1, "max_resource": EPOCHS, "reduction_factor": 3}),
    (optuna.pruners.MedianPruner, {"n_startup_trials": 2}),
]


@pytest.mark.parametrize(("pruner", "options"), PRUNERS, ids=lambda value: getattr(value, "__name__", ""))
def test_prunes_as_optuna(pruner: Any, options: dict[str, Any]) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_categorical("x", GRID["x"])
        for epoch in range(1, EPOCHS + 1):
            trial.report(score(x, epoch), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score(x, EPOCHS)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    theirs = optuna.create_study(
        study_name="sweep", sampler=optuna.samplers.GridSampler(GRID, seed=0), pruner=pruner(**options),
        direction="maximize",
    )  # fmt: skip
    theirs.optimize(objective, n_trials=len(GRID["x"]))
    space = {"x": {"choice": GRID["x"]}}
    found = ours(small_sweep(len(GRID["x"]), space=space, sampler=grid, pruner=lambda: pruner(**options)))
    assert [record.params for record in found] == [trial.params for trial in theirs.trials]
    assert [len(record.reports) for record in found] == [len(trial.intermediate_values) for trial in theirs.trials]
    assert len({record.state for record in found}) == 2, "some trials are pruned, some are not"


@pytest.mark.parametrize("sampler", ["TPESampler", "CmaEsSampler", "RandomSampler", "NSGAIISampler"])
def test_samplers_learn_from_records(sampler: str) -> None:
    """Two numbers in [0, 1], best at (0.3, 0.3): proposals differ, and those of samplers that learn come closer."""
    space = {"x": {"range": [0.0, 1.0]}, "y": {"range": [0.0, 1.0]}}
    sweep = small_sweep(40, space=space, sampler=getattr(optuna.samplers, sampler))
    records: list[Record] = []
    for _ in range(sweep.trials):
        record = new_record(sweep, records)
        value = -((record.params["x"] - 0.3) ** 2) - (record.params["y"] - 0.3) ** 2
        record.state, record.values = "finished", [value]
        records.append(record)
    assert len({record.params["x"] for record in records}) > 30
    if sampler in ("TPESampler", "CmaEsSampler"):
        loss = [-value for record in records for value in record.values or []]
        early, late = loss[:10], loss[-10:]
        assert sum(late) < sum(early) / 2
