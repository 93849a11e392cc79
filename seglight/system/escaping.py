"""Text that comes from files, escaped for where it is shown: a function for each surface, and how streams write it.

Class names, file names, values of recipes and strings of checkpoints can hold anything: escape sequences of terminals,
markup, formulas of spreadsheets.
"""

import codecs
import html as html_of
import re
import sys
from io import TextIOWrapper
from typing import Any

from seglight.errors import terminal

ASCII = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{BULLET}": "*",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{INFINITY}": "inf",
}
"""What stands in place of a sign of our own or of a progress bar where a terminal has no such character."""

ERRORS = "seglight"
"""Name of the error handler of streams."""


def markdown(text: str) -> str:
    """A text within a line or a cell of a table of Markdown, where it is no markup, no HTML and no address."""
    text = html_of.escape(_encodable(terminal(text)), quote=False)
    # an underscore within a word is no markup
    text = re.sub(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return text.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def html(text: str) -> str:
    """A text within an element or an attribute of HTML."""
    return html_of.escape(_encodable(terminal(text, keep="\n\t")))


def figure(text: str) -> str:
    """A text in a figure of matplotlib, which would take what stands between dollars for a formula."""
    return _encodable(terminal(text)).replace("$", r"\$")


def tag(text: str, keep: str = "") -> str:
    """A tag or a text of TensorBoard, which shows both without running them; but its files hold UTF-8 alone."""
    return _encodable(terminal(text, keep))


def plotly(text: str) -> str:
    """A text in a figure of plotly, which reads some tags of HTML; line ends and the ends of its hovers stay."""
    return re.sub(r"<(?!/?(?:br|extra)>)", "&lt;", _encodable(text))


def csv(text: str) -> str:
    """A cell of CSV: an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _encodable(text: str) -> str:
    """Bytes that are no UTF-8 as a replacement character."""
    return text.encode(errors="replace").decode()


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """For what a stream's encoding lacks: the byte of a file's name, a similar sign, or Python's escape sequence."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    if sign in ASCII:
        return ASCII[sign], error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.lookup_error("backslashreplace")(one)


codecs.register_error(ERRORS, _replaced)


def encodable(text: str, stream: Any) -> str:
    """A text as a stream will show it, also one that `write_anything` has not prepared: tables are as wide as that."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if getattr(stream, "errors", None) == ERRORS:
        return text.encode(encoding, ERRORS).decode(encoding, "surrogateescape")
    return text.encode(encoding, "backslashreplace").decode(encoding)


def write_anything() -> None:
    """Let standard output and error write every text, whatever the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
