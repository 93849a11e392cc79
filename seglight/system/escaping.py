"""Escaping of text from files for each place where it is shown, and for output streams.

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
"""Replacements of characters of our own output that the encoding of a terminal lacks."""

ERRORS = "seglight"
"""Name of the error handler of streams."""


def markdown(text: str) -> str:
    """Text for a line or a table cell of Markdown, without markup, HTML and links."""
    text = html_of.escape(_encodable(terminal(text)), quote=False)
    # an underscore within a word is no markup
    text = re.sub(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return text.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def html(text: str) -> str:
    """Text for an element or an attribute of HTML."""
    return html_of.escape(_encodable(terminal(text, keep="\n\t")))


def figure(text: str) -> str:
    """Text for a figure of matplotlib, which would read text between dollar signs as a formula."""
    return _encodable(terminal(text)).replace("$", r"\$")


def tag(text: str, keep: str = "") -> str:
    """Tag or text of TensorBoard, which does not interpret them; its files have to be UTF-8."""
    return _encodable(terminal(text, keep))


def plotly(text: str) -> str:
    """Text for a figure of plotly, which interprets some HTML tags; its own line breaks and hover ends are kept."""
    return re.sub(r"<(?!/?(?:br|extra)>)", "&lt;", _encodable(text))


def csv(text: str) -> str:
    """Cell of CSV, with an apostrophe before text that a spreadsheet would read as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _encodable(text: str) -> str:
    """Text with a replacement character in place of bytes that are not UTF-8."""
    return text.encode(errors="replace").decode()


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace a character that an encoding lacks by the byte of a file name, a similar one or an escape sequence."""
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
    """Text as a stream will show it, also without `write_anything`, to compute the width of tables."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if getattr(stream, "errors", None) == ERRORS:
        return text.encode(encoding, ERRORS).decode(encoding, "surrogateescape")
    return text.encode(encoding, "backslashreplace").decode(encoding)


def write_anything() -> None:
    """Let standard output and standard error accept every text, whatever the encoding of the terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
