"""Console of the commands: tables and lines in which names are never markup."""

from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from seglight.errors import terminal
from seglight.system.escaping import encodable


class PlainConsole(Console):
    """Rich console for texts of any origin: no markup, no emoji, control characters other than line ends escaped."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text that rich shows for a string in a line, a cell or a title."""
        text = encodable(terminal(text, keep="\n\t"), self.file)
        return super().render_str(text, **{**options, "markup": False, "emoji": False})


def plain_console(*, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> PlainConsole:
    """A console for a command.

    Args:
        stderr: Whether to print to standard error, for progress bars.
        width: Width in characters; None: width of the terminal.
        soft_wrap: Whether the terminal wraps long lines, so that they can be copied; False: rich wraps them.
    """
    soft_wrap = soft_wrap and not stderr
    return PlainConsole(stderr=stderr, width=width, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)


class Name:
    """Name in a cell or heading of a table, on one line, in any console."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _text(self, console: Console) -> Text:
        return Text(encodable(terminal(self.name), console.file))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._text(console)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._text(console))
