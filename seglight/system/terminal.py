"""What commands print to: tables and lines in which a name is never markup."""

from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from seglight.errors import terminal
from seglight.system.escaping import encodable


class PlainConsole(Console):
    """Rich's console for texts of any origin: no markup, no emoji, control characters written out but for line ends."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as rich shows it, in a line, a cell or a title."""
        text = encodable(terminal(text, keep="\n\t"), self.file)
        return super().render_str(text, **{**options, "markup": False, "emoji": False})


def plain_console(*, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> PlainConsole:
    """A console for a command.

    Args:
        stderr: Standard error in place of standard output, for progress bars.
        width: Width in characters; None: that of the terminal.
        soft_wrap: Whether long lines are left to the terminal, so that what is printed can be copied; False: what does
            not fit is wrapped.
    """
    soft_wrap = soft_wrap and not stderr
    return PlainConsole(stderr=stderr, width=width, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)


class Name:
    """A name in a cell or heading of a table, on one line, whatever the console that prints it makes of strings."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _text(self, console: Console) -> Text:
        return Text(encodable(terminal(self.name), console.file))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._text(console)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._text(console))
