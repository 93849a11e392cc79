"""A shard: a part of the inputs, its state, and the files of its folder by which coordinator and job communicate."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from seglight.commands.executors.executor import Job
from seglight.commands.executors.job import EXIT, LOG, STOP, Command
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.request import Outcome, Request
from seglight.system.atomic import atomic_write
from seglight.system.remote import RemoteFile

PLAN = "plan.json"
"""File with what a job is to do."""

JOB = "job.json"
"""File with the executor and the name of the job, from its start to its end."""

PROGRESS = "progress.json"
"""File with the progress of the job: how many images it has passed in this start, and has written in all starts."""

OUTCOME = "outcome.json"
"""File with what came of the inputs, written last."""

TABLES = "tables"
"""Folder of the tables of the shard's images."""

PlannedSource: TypeAlias = tuple[str, str, RemoteFile | None]
"""Path, key and object of an input."""

State = Literal["waiting", "running", "finished", "failed"]


@dataclass(frozen=True)
class Plan:
    """What a job is to do; a job of an earlier command is taken over if its plan is the same.

    Args:
        request: Options of the command.
        sources: Path and key of each input, and the object that it is if it is in a remote storage.
        provenance: Model and options of the label maps.
        cwd: Working directory, where relative paths start.
    """

    request: Request
    sources: Sequence[PlannedSource]
    provenance: str
    cwd: str

    def text(self) -> str:
        """The plan as JSON; names of files that are not UTF-8 are escaped."""
        return json.dumps(asdict(self))


def read_plan(folder: Path) -> tuple[Request, list[Source], str]:
    """Read the options, the inputs, and the provenance of the label maps of a job from its folder."""
    content = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    sources = [_source(*planned) for planned in content["sources"]]
    return Request(**content["request"]), sources, content["provenance"]


def planned_source(source: Source) -> PlannedSource:
    """An input as a plan states it."""
    return str(source.path), str(source.key), source.remote


def _source(path: str, key: str, remote: Sequence[Any] | None) -> Source:
    return Source(Path(path), Path(key), None if remote is None else RemoteFile(*remote))


@dataclass
class Shard:
    """State of a shard.

    Attributes:
        number: Number of the shard, from 0.
        folder: Folder of its files.
        images: Number of its images, for a video as its header states.
        commands: Commands of its job.
        state: Current state; the last two are final.
        job: Name by which the executor finds the job.
        starts: Number of times that the job was started.
        failures: Number of ends with an error since it last got further.
        vanished: Number of times that the job has vanished since it last got further.
        passed: Number of images that the job has passed in its current start.
        furthest: The largest number that it has passed in any start.
        error: Why it failed, one line.
    """

    number: int
    folder: Path
    images: int
    commands: list[Command]
    state: State = "waiting"
    job: str = ""
    starts: int = 0
    failures: int = 0
    vanished: int = 0
    passed: float = 0.0
    furthest: float = 0.0
    error: str = ""

    @property
    def log(self) -> Path:
        """Path of the output of its job."""
        return self.folder / LOG

    def as_job(self) -> Job:
        """The job for an executor."""
        return Job(self.folder, self.commands, self.job)

    def prepare(self) -> None:
        """Remove how an earlier start of the job has ended."""
        for name in (EXIT, STOP):
            (self.folder / name).unlink(missing_ok=True)

    def read_progress(self) -> None:
        """Read how far the job is; failures are forgotten once it is further than before."""
        self.passed = read_progress(self.folder)[0]
        if self.passed > self.furthest:
            self.furthest = self.passed
            self.failures = 0
            self.vanished = 0


def write_job(folder: Path, executor: str, name: str) -> None:
    """Record by which executor, and under which name, the job of a folder was started."""
    atomic_write(folder / JOB, json.dumps({"executor": executor, "name": name}))


def read_job(folder: Path) -> tuple[str, str] | None:
    """Executor and name of the job of a folder; None if none was started, or it was seen to end."""
    content = _read(folder / JOB)
    return None if content is None else (content["executor"], content["name"])


def write_progress(folder: Path, passed: float, written: int) -> None:
    """Record how many images a job has passed in this start, and has written in all starts."""
    atomic_write(folder / PROGRESS, json.dumps([passed, written]))


def read_progress(folder: Path) -> tuple[float, int]:
    """What `write_progress` has recorded last; zeros if nothing."""
    passed, written = _read(folder / PROGRESS) or (0.0, 0)
    return passed, written


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Record what came of the inputs of a shard."""
    atomic_write(folder / OUTCOME, json.dumps(asdict(outcome)))


def read_outcome(folder: Path) -> Outcome | None:
    """What came of the inputs of a shard; None if its job has not reached its end."""
    content = _read(folder / OUTCOME)
    return None if content is None else Outcome(**content)


def _read(path: Path) -> Any:
    """Content of a JSON file; None if it is missing, or lost with a machine that has written it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
