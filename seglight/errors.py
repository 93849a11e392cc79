"""What the user did wrong, in one line: what, where, and how to mend it."""


class UserError(Exception):
    """Shown as one line without a traceback; the process ends with exit code 2."""


def one_line(error: BaseException) -> str:
    """The message alone: a DataLoader worker hands errors over with its whole traceback wrapped around them."""
    text = str(error).rsplit(f"{UserError.__name__}: ", 1)[-1]
    return " ".join(text.split())
