"""Times and sizes of memory as they are given on the command line."""

import re

from seglight.errors import UserError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def seconds_of(text: str) -> int:
    """Seconds of a time such as 2h, 90m or 1h30m.

    Raises:
        UserError: The text is no time.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise UserError(f"--time {text}: give a time such as 30m, 2h or 1h30m")
    seconds = round(sum(float(number) * SECONDS[unit] for number, unit in parts))
    if seconds < 1:
        raise UserError(f"--time {text}: give more than zero, such as 30m or 2h")
    return seconds


def bytes_of(text: str) -> int:
    """Bytes of a size such as 8GB or 500MiB.

    Raises:
        UserError: The text is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]I?B)", text.upper())
    size = round(float(found[1]) * BYTES[found[2]]) if found else 0
    if not size:
        raise UserError(f"--memory {text}: give a size such as 8GB or 500MiB")
    return size


def plain_time(seconds: float) -> str:
    """A time for people: two of its largest units."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
