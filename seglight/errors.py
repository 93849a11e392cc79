"""What the user did wrong, in one line: what, where, and how to mend it."""

import errno
import sys
import unicodedata


class UserError(Exception):
    """Shown as one line without a traceback; the process ends with exit code 2."""


STOPPED = 130
"""Exit code of a command that Ctrl-C has ended, as of a shell's."""

UNATTAINABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
"""What a system says of a path that can't be written or read: not there for this user, or something else lies there."""


HIDDEN = ("Cc", "Cf", "Zl", "Zp")
"""Unicode categories of what is not seen but acts: controls, directions of writing, ends of lines and paragraphs."""

JOINERS = "\u200c\u200d"
"""Of those, what scripts need to be written at all."""


def terminal(text: str, keep: str = "") -> str:
    r"""A text with control characters written out, such as `\x1b`, on one line.

    Args:
        text: Any; bytes of file names that are no UTF-8 stay as they are, but for those of control characters.
        keep: Control characters that stay, such as line ends.
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
    """Tell the user one line that is no error."""
    sys.stderr.write(f"seglight: {terminal(line)}\n")


def user_error_behind(error: BaseException | None) -> UserError | None:
    """The user error that another was raised from or while handling: parsers wrap what constructors raise.

    A full disk is one too, and a path that can't be had. Errors that threads raise again can go round in a ring.
    """
    if isinstance(error, OSError) and error.errno in UNATTAINABLE and error.filename:
        return UserError(f"{error.filename2 or error.filename}: {error.strerror}: see to it, or name another path")
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            return error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f"{error.filename}: " if error.filename else ""
            return UserError(f"{where}{error.strerror}: make room, then give the command again (fit: with --resume)")
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def one_line(error: BaseException) -> str:
    """The message alone: a DataLoader worker hands errors over with its whole traceback wrapped around them."""
    text = str(error).rsplit(f"{UserError.__name__}: ", 1)[-1]
    return terminal(" ".join(text.split()))
