"""What a sweep asks of the place where its trials run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seglight.commands.sweep.job import Command

GONE = "gone"
"""A job was killed with all that belonged to it, with its machine, say: there is no exit code."""

CANCELLED = "cancelled"
"""Somebody took a job out by hand."""


@dataclass(frozen=True)
class Job:
    """A trial to be run.

    Attributes:
        folder: The sweep's own within the trial's.
        commands: What `sweeps.job.run` is to run.
        name: Of the executor, once it has the job; empty before.
    """

    folder: Path
    commands: list[Command]
    name: str = ""


class Executor(Protocol):
    """Starts jobs, says how they have ended, and tells them to stop."""

    @property
    def slots(self) -> int | None:
        """Jobs that it runs at once at most, or None."""

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start jobs; gives a name for each, by which also a later process finds it."""

    def poll(self, job: Job) -> int | str | None:
        """None while a job runs or waits; else its exit code, what failed in its place, GONE or CANCELLED."""

    def cancel(self, job: Job) -> None:
        """Tell a job to save and leave; harmless where it has ended."""

    def close(self) -> None:
        """Let go of what was opened; jobs that run go on."""
