"""How jobs end: exit codes, and the line of a log that gives the cause of a failure."""

import errno
import os
import re
from pathlib import Path

from seglight.errors import terminal
from seglight.system.signals import EXIT_CODE, SCHEDULERS

PREEMPTED = (EXIT_CODE, *(-number for number in SCHEDULERS), *(128 + number for number in SCHEDULERS))
"""Exit codes after which a job is resumed at once: it was asked to stop, possibly before it handled the signal."""

USER_ERROR = 2
"""Exit code of a user's mistake, which another attempt would repeat."""

TEMPORARY = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), ": in use by ")
"""Causes with the same exit code that pass by themselves: a full disk, and a run folder that is still locked."""

MAX_VANISHED = 10
"""Number of times in a row that a job may vanish without any progress: it may be what kills its machine."""

REPEAT = 10.0
"""Seconds after which a job that was asked to stop is asked again: it may not have handled signals yet."""

PREFIX = "seglight: error: "
"""Beginning of the line that reports a user's mistake."""

RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b")
"""Beginning of the last line of a traceback."""

LONGEST = 300
"""Characters of a line that are shown."""

TAIL = 2**16
"""Bytes at the end of a log that are searched for the cause."""


def log_size(log: Path) -> int:
    """Size of a log in bytes; 0 if there is none."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def last_error(log: Path, start: int = 0, longest: int = LONGEST) -> str:
    """Line of a log that gives the cause of a failure, safe to print; empty if there is none.

    It is the last user's mistake or the last line of a traceback, otherwise the last line of the log.

    Args:
        log: Path of the log.
        start: Bytes of the log that belong to earlier starts.
        longest: Number of characters after which the line is cut off.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(PREFIX) or RAISED.match(line)]
    text = terminal((errors or lines or [""])[-1].removeprefix(PREFIX))
    return text if len(text) <= longest else f"{text[:longest]}..."


def is_final(ended: int | str, cause: str) -> bool:
    """Whether a job that ended like this would fail again: it was refused for a cause that is permanent."""
    return ended == USER_ERROR and not any(message in cause for message in TEMPORARY)


def described(ended: int | str) -> str:
    """How a job ended, in words: by its exit code, or as its executor reports a failure that has none."""
    return f"exit code {ended}" if isinstance(ended, int) else ended
