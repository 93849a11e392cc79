"""Interface between a command and the machines that run its jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seglight.commands.executors.job import Command

GONE = "gone"
"""A job was killed with all of its processes, for example with its machine: there is no exit code."""

CANCELLED = "cancelled"
"""Somebody cancelled a job by hand."""


@dataclass(frozen=True)
class Job:
    """A job to be run.

    Attributes:
        folder: Folder of the job's own files: its lock, its log and its exit code.
        commands: Commands for `job.run`.
        name: Name that the executor gave the job; empty before it was submitted.
    """

    folder: Path
    commands: list[Command]
    name: str = ""


@dataclass(frozen=True)
class Wording:
    """Words of a command in the messages of an executor.

    Attributes:
        parameters: Where the parameters of the executor are given, such as "running.slurm".
        resume: How the command is continued, such as "resume with --resume".
    """

    parameters: str
    resume: str


class Executor(Protocol):
    """Starts jobs, reports how they ended, and asks them to stop."""

    @property
    def slots(self) -> int | None:
        """Maximum number of jobs that run at once; None if there is no limit."""

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start jobs; returns a name for each, by which a later process finds it too."""

    def poll(self, job: Job) -> int | str | None:
        """None while a job runs or waits, otherwise its exit code, a failure of its machine, GONE or CANCELLED."""

    def cancel(self, job: Job) -> None:
        """Ask a job to save its state and stop; does nothing if it has ended."""

    def close(self) -> None:
        """Release connections; jobs that run continue."""
