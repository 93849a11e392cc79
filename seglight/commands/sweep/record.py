"""The state of each trial of a sweep, stored as a file in the folder of the trial."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seglight.errors import UserError
from seglight.system.atomic import atomic_write

JOB_FOLDER = "trial"
"""Folder of the sweep's own files within the run folder of a trial: `fit` removes incomplete files from its own."""

RECORD_FILE = "state.json"

State = Literal["waiting", "running", "stopping", "finished", "pruned", "failed"]
"""`stopping`: the trial was asked to stop in order to be pruned. The last three states are final."""

DONE = ("finished", "pruned", "failed")


@dataclass
class Record:
    """State of one trial.

    Attributes:
        number: Number of the trial, from 0, as in Optuna.
        params: The candidate: values by key of the space, choices as labels.
        distributions: Distribution that each value was drawn from, as Optuna's JSON.
        attrs: What the sampler and the pruner store with a trial.
        state: Current state.
        reports: Values of the first objective, one after each validation.
        values: Values of the objectives of a finished trial.
        failures: Number of starts that ended with an error.
        vanished: Number of times that the job has vanished since its last validation, for example with its machine.
        job: Name by which the executor finds the job.
        error: Why the trial failed, in one line, followed by the last lines of its log.
        cause: Line of the log that says why the last start failed; empty if the trial itself was not the cause.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, str]
    attrs: dict[str, Any]
    state: State = "waiting"
    reports: list[float] = field(default_factory=list)
    values: list[float] | None = None
    failures: int = 0
    vanished: int = 0
    job: str = ""
    error: str = ""
    cause: str = ""

    @property
    def done(self) -> bool:
        """Whether the state is final."""
        return self.state in DONE

    def save(self, trials: Path) -> None:
        """Write the record to the folder of the trial, within `trials`."""
        atomic_write(job_file(trials, self.number, RECORD_FILE), json.dumps(asdict(self), indent=1) + "\n")


def trial_folder(trials: Path, number: int) -> Path:
    """Run folder of a trial."""
    return trials / f"{number:04d}"


def job_file(trials: Path, number: int, name: str) -> Path:
    """Path of one of the sweep's own files in the folder of a trial."""
    return trial_folder(trials, number) / JOB_FOLDER / name


def read_records(trials: Path) -> list[Record]:
    """Read the records of all trials of a sweep, sorted by number.

    Raises:
        UserError: A record is missing or damaged.
    """
    numbers = sorted(int(path.parent.parent.name) for path in trials.glob(f"[0-9]*/{JOB_FOLDER}/{RECORD_FILE}"))
    for number, found in enumerate(numbers):
        if number != found:
            raise UserError(
                f"{job_file(trials, number, RECORD_FILE)}: the file is missing, although later trials have one: "
                "restore it"
            )
    records = []
    for number in numbers:
        path = job_file(trials, number, RECORD_FILE)
        try:
            records.append(Record(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path}: the file is damaged ({error}): restore it, or remove this trial and all later ones"
            ) from error
    return records
