"""Why trials fail: the line of a log that says so, and whether several trials fail for one reason."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from seglight.commands.sweep.job import LOG
from seglight.commands.sweep.record import Record, own_file
from seglight.errors import terminal

PREFIX = "seglight: error: "
"""What a user's mistake is told with."""

RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b")
"""The beginning of the last line of a traceback."""

LONGEST, TAIL = 300, 2**16
"""Characters of a line that are told, and bytes at the end of a log that are searched for it."""

REFUSED = 2
"""Exit code of a user's mistake: whoever tries again is told the same."""

PASSING = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), ": in use by ")
"""What is told with the same exit code, and passes: a full disk, and a run folder that another process has not left."""


def log_of(trials: Path, record: Record) -> Path:
    """The log of a trial."""
    return own_file(trials, record.number, LOG)


def size_of_log(trials: Path, record: Record) -> int:
    """Bytes in the log of a trial."""
    try:
        return log_of(trials, record).stat().st_size
    except FileNotFoundError:
        return 0


def cause_of(trials: Path, record: Record, start: int) -> str:
    """The line in which a trial says why it failed, fit to be shown; empty if it says nothing.

    That is the last user's mistake or last line of a traceback, or else the last line of the log.

    Args:
        trials: Folder of the trials.
        record: The trial.
        start: Bytes of its log that are of earlier starts.
    """
    try:
        with log_of(trials, record).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(PREFIX) or RAISED.match(line)]
    return printable((errors or lines or [""])[-1].removeprefix(PREFIX))


def printable(line: str) -> str:
    """A line of a log without control characters, and not longer than is read."""
    text = terminal(line)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def is_final(ended: int | str, cause: str) -> bool:
    """Whether a trial that ended so would end so again: it was refused for what does not pass by itself."""
    return ended == REFUSED and not any(passing in cause for passing in PASSING)


def are_one(causes: Sequence[str]) -> bool:
    """Whether causes are known and differ in nothing but numbers, as in the names of the trials' folders."""
    return all(causes) and len({re.sub(r"\d+", "0", cause) for cause in causes}) == 1


def closing_lines(trials: Path, records: Sequence[Record]) -> list[str]:
    """A line for each reason that trials failed for: which trials, why, and the log of the first."""
    reasons: dict[str, list[Record]] = {}
    for record in records:
        if record.state == "failed":
            why = record.error.splitlines()[0] if record.error else "unknown"
            reasons.setdefault(re.sub(r"\d+", "0", why), []).append(record)
    return [
        f"failed      {_numbers(alike)}: {(alike[0].error.splitlines() or ['unknown'])[0]} ({log_of(trials, alike[0])})"
        for alike in reasons.values()
    ]


def _numbers(records: Sequence[Record], most: int = 5) -> str:
    named = ", ".join(f"{record.number:04d}" for record in records[:most])
    return named + (f" and {len(records) - most} more" if len(records) > most else "")
