"""Errors of the user as one line: what is wrong, where, and how to fix it."""

import errno
import math
import sys
import traceback
import unicodedata
from typing import Any


class UserError(Exception):
    """Shown as one line without a traceback; the process ends with exit code 2."""


STOPPED = 130
"""Exit code of a command that was ended by Ctrl-C, as in shells."""

UNATTAINABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
"""Errors of the system for a path that can't be read or written: no permission, or something else has that path."""


HIDDEN = ("Cc", "Cf", "Zl", "Zp")
"""Unicode categories of invisible characters with an effect: controls, writing directions, line and paragraph ends."""

JOINERS = "\u200c\u200d"
"""Characters of these categories that some scripts need."""


def terminal(text: str, keep: str = "") -> str:
    r"""Text with control characters as escape sequences, such as `\x1b`, on one line.

    Args:
        text: Text of any origin. Bytes of file names that are not UTF-8 are kept, except those of control characters.
        keep: Control characters that are kept, such as line ends.
    """
    return "".join(_visible(sign) if _acts(sign) and sign not in keep else sign for sign in text)


def _acts(sign: str) -> bool:
    if "\udc80" <= sign <= "\udc9f":  # a byte of a file's name: a control character of ISO 8859
        return True
    return sign < " " or (sign >= "\x7f" and sign not in JOINERS and unicodedata.category(sign) in HIDDEN)


def _visible(sign: str) -> str:
    byte = ord(sign) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0x9F else sign.encode("unicode_escape").decode()


def say(line: str) -> None:
    """Print a line for the user that is not an error."""
    sys.stderr.write(f"seglight: {terminal(line)}\n")


def within(value: Any, low: float, high: float = math.inf) -> bool:
    """Whether a value is a number between two bounds, and not None or text, which the parser lets through in places.

    Args:
        value: Value of an argument.
        low: Smallest value that is allowed.
        high: Largest value that is allowed.
    """
    try:
        return bool(low <= value <= high)
    except TypeError:
        return False


def user_error_behind(error: BaseException | None) -> UserError | None:
    """The user error that another error was raised from, since parsers wrap what constructors raise.

    A full disk and a path that can't be read or written are user errors, too. The causes of errors that are raised
    again in another thread can form a ring.
    """
    if isinstance(error, OSError) and error.errno in UNATTAINABLE and error.filename:
        return UserError(f"{error.filename2 or error.filename}: {error.strerror}: check it, or give another path")
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            return error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f"{error.filename}: " if error.filename else ""
            return UserError(
                f"{where}{error.strerror}: free some space, then run the command again (fit: with --resume)"
            )
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def one_line(error: BaseException) -> str:
    """Message of an error, without the traceback that a DataLoader worker adds to it."""
    text = str(error).rsplit(f"{UserError.__name__}: ", 1)[-1]
    return terminal(" ".join(text.split()))


def traceback_of(error: BaseException) -> str:
    """Traceback of an error of the code, whose message may contain text of any origin; it ends with a line end."""
    return terminal("".join(traceback.format_exception(error)), keep="\n")
