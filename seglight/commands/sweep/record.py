"""What a sweep knows of a trial, in a file of the trial's folder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seglight.errors import UserError
from seglight.system.atomic import atomic_write

OWN = "trial"
"""Folder within a trial's run folder for what is the sweep's: `fit` clears away what lies half written in its own."""

FILE = "state.json"

State = Literal["waiting", "running", "stopping", "finished", "pruned", "failed"]
"""`stopping`: it is to be pruned, and was told so. The last three are settled."""

SETTLED = ("finished", "pruned", "failed")


@dataclass
class Record:
    """The state of one trial.

    Attributes:
        number: From 0, as in Optuna.
        params: The candidate: keys of the space, choices as labels.
        distributions: What each was drawn from, as Optuna's JSON.
        attrs: What sampler and pruner remember with a trial.
        state: Where it stands.
        reports: The first objective after each validation.
        values: The objectives of a finished trial.
        failures: How often it has ended by an error.
        vanished: How often its job has vanished since its last validation, with a machine, say.
        job: By what the executor finds it.
        error: Why it failed, in a line, and the last lines of its log.
        cause: What its log says of why its last start failed; empty if it was not by its own doing.
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
    def settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in SETTLED

    def save(self, trials: Path) -> None:
        """Write it to its folder among `trials`."""
        atomic_write(own_file(trials, self.number, FILE), json.dumps(asdict(self), indent=1) + "\n")


def folder_of(trials: Path, number: int) -> Path:
    """The run folder of a trial."""
    return trials / f"{number:04d}"


def own_file(trials: Path, number: int, name: str) -> Path:
    """A file that is the sweep's in the folder of a trial."""
    return folder_of(trials, number) / OWN / name


def read_records(trials: Path) -> list[Record]:
    """All trials of a sweep, by number.

    Raises:
        UserError: One between them is missing or damaged.
    """
    numbers = sorted(int(path.parent.parent.name) for path in trials.glob(f"[0-9]*/{OWN}/{FILE}"))
    for number, found in enumerate(numbers):
        if number != found:
            raise UserError(f"{folder_of(trials, number)}: no {OWN}/{FILE}, and later trials have theirs: put it back")
    records = []
    for number in numbers:
        path = own_file(trials, number, FILE)
        try:
            records.append(Record(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}: damaged ({error}): put it back, or take away this trial and all later") from error
    return records
