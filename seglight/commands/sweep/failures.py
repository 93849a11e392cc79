"""Why trials fail: the line of a log that gives the cause, and whether several trials fail for the same cause."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from seglight.commands.sweep.job import LOG
from seglight.commands.sweep.record import Record, job_file
from seglight.errors import terminal

PREFIX = "seglight: error: "
"""Beginning of the line that reports a user's mistake."""

RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b")
"""Beginning of the last line of a traceback."""

LONGEST = 300
"""Characters of a line that are shown."""

TAIL = 2**16
"""Bytes at the end of a log that are searched for the cause."""

USER_ERROR = 2
"""Exit code of a user's mistake, which another attempt would repeat."""

TEMPORARY = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), ": in use by ")
"""Causes with the same exit code that pass by themselves: a full disk, and a run folder that is still locked."""


def log_path(trials: Path, record: Record) -> Path:
    """Path of the log of a trial."""
    return job_file(trials, record.number, LOG)


def log_size(trials: Path, record: Record) -> int:
    """Size of the log of a trial in bytes."""
    try:
        return log_path(trials, record).stat().st_size
    except FileNotFoundError:
        return 0


def failure_cause(trials: Path, record: Record, start: int) -> str:
    """Line of a trial's log that gives the cause of its failure, safe to print; empty if there is none.

    It is the last user's mistake or the last line of a traceback, otherwise the last line of the log.

    Args:
        trials: Folder of the trials.
        record: Record of the trial.
        start: Bytes of the log that belong to earlier starts.
    """
    try:
        with log_path(trials, record).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(PREFIX) or RAISED.match(line)]
    return _printable((errors or lines or [""])[-1].removeprefix(PREFIX))


def _printable(line: str) -> str:
    """A line of a log without control characters, shortened."""
    text = terminal(line)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def is_final(ended: int | str, cause: str) -> bool:
    """Whether a trial that ended like this would fail again: the recipe was refused for a cause that is permanent."""
    return ended == USER_ERROR and not any(message in cause for message in TEMPORARY)


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
