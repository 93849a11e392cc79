"""Optuna's study, rebuilt from the records of the trials whenever it is needed: it has no state that could be lost."""

import json
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import GridSampler
from optuna.trial import FrozenTrial, TrialState

from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import Record
from seglight.commands.sweep.space import propose
from seglight.errors import UserError

STATES = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

NAME = "sweep"
"""Name of every study: Hyperband assigns trials to its brackets by it."""


def study_of(sweep: Sweep, records: Sequence[Record]) -> optuna.Study:
    """A study in memory that contains the trials so far.

    The seed of its sampler depends only on that of the sweep and on the number of trials, so that a sweep that was
    interrupted proposes what it would have proposed otherwise.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = list(sweep.objectives.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = sweep.sampler(seed=sweep.seed)
        if not isinstance(sampler, GridSampler):  # its seed is the order of the grid
            seed = np.random.SeedSequence((sweep.seed, len(records))).generate_state(1)[0]
            sampler = sweep.sampler(seed=int(seed))
        study = optuna.create_study(study_name=NAME, directions=directions, sampler=sampler, pruner=sweep.pruner())
    for record in records:
        study.add_trial(_frozen(record))
    return study


def new_record(sweep: Sweep, records: Sequence[Record]) -> Record:
    """Ask for the next candidate.

    Raises:
        UserError: The sampler does not support this space, or needs a package that is not installed.
    """
    study = study_of(sweep, records)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samplers that fall back on another one, as CMA-ES does for choices
            propose(sweep.parameters, study.ask())
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise UserError(f"sampler: {error}") from error
    trial = study.get_trials(deepcopy=False)[-1]
    distributions = {key: distribution_to_json(value) for key, value in trial.distributions.items()}
    return Record(trial.number, dict(trial.params), distributions, dict(trial.system_attrs))


def should_prune(sweep: Sweep, records: Sequence[Record], number: int) -> bool:
    """Whether a trial should be pruned after its last report; stores the pruner's attributes in its record.

    Raises:
        UserError: The pruner does not support such trials, or needs a package that is not installed.
    """
    study = study_of(sweep, records)
    try:
        prune = study.pruner.prune(study, study.get_trials()[number])
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(
            f"pruner: {error}: start a sweep with another pruner in another --out; trials that run now continue"
        ) from error
    records[number].attrs = dict(study.get_trials()[number].system_attrs)
    return prune


def best_records(sweep: Sweep, records: Sequence[Record]) -> list[Record]:
    """Finished trials, best first: all of them with one objective, with several only those of the Pareto front."""
    finished = [record for record in records if record.state == "finished" and record.values is not None]
    if len(sweep.objectives) > 1:
        front = study_of(sweep, records).best_trials if finished else []
        finished = [records[trial.number] for trial in front]
    sign = -1 if next(iter(sweep.objectives.values())) == "maximize" else 1
    return sorted(finished, key=lambda record: (sign * (record.values or [0.0])[0], record.number))


def _frozen(record: Record) -> FrozenTrial:
    state = STATES.get(record.state, TrialState.RUNNING)
    last = [record.reports[-1]] if record.state == "pruned" and record.reports else None
    return optuna.trial.create_trial(
        state=state,
        values=record.values if state == TrialState.COMPLETE else last,
        params=record.params,
        distributions={key: json_to_distribution(value) for key, value in record.distributions.items()},
        system_attrs=json.loads(json.dumps(record.attrs)),
        intermediate_values=dict(enumerate(record.reports, start=1)),
    )
