"""Why trials fail: the line of a log that gives the cause, and whether several trials fail for the same cause."""

import re
from collections.abc import Sequence
from pathlib import Path

from seglight.commands.executors.endings import last_error
from seglight.commands.executors.job import LOG
from seglight.commands.sweep.record import Record, job_file


def log_path(trials: Path, record: Record) -> Path:
    """Path of the log of a trial."""
    return job_file(trials, record.number, LOG)


def failure_cause(trials: Path, record: Record, start: int) -> str:
    """Line of a trial's log that gives the cause of its failure, safe to print; empty if there is none.

    Args:
        trials: Folder of the trials.
        record: Record of the trial.
        start: Bytes of the log that belong to earlier starts.
    """
    return last_error(log_path(trials, record), start)


def same_cause(causes: Sequence[str]) -> bool:
    """Whether all causes are known and differ only in numbers, such as those of the trials' folders."""
    return all(causes) and len({_without_numbers(cause) for cause in causes}) == 1


def failure_summary(trials: Path, records: Sequence[Record]) -> list[str]:
    """One line for each cause of failure: the trials, the cause, and the log of the first trial."""
    by_cause: dict[str, list[Record]] = {}
    for record in records:
        if record.state == "failed":
            by_cause.setdefault(_without_numbers(_first_line(record)), []).append(record)
    return [
        f"failed      {_numbers(alike)}: {_first_line(alike[0])} ({log_path(trials, alike[0])})"
        for alike in by_cause.values()
    ]


def _first_line(record: Record) -> str:
    return record.error.splitlines()[0] if record.error else "unknown"


def _without_numbers(cause: str) -> str:
    return re.sub(r"\d+", "0", cause)


def _numbers(records: Sequence[Record], most: int = 5) -> str:
    named = ", ".join(f"{record.number:04d}" for record in records[:most])
    return named + (f" and {len(records) - most} more" if len(records) > most else "")
