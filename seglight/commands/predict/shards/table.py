"""Progress of the shards in the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress
from rich.table import Table

from seglight.commands.predict.shards.shard import Shard, State

ROWS = 20
"""Number of shards that are shown: first those that failed, then those that run, then those that wait."""

ORDER: tuple[State, ...] = ("failed", "running", "waiting", "finished")


class LiveTable:
    """A bar for all images, and a table of the shards below it; without a terminal, a line for each change of a state.

    Args:
        shards: The shards, which the coordinator updates.
        console: Console that is printed to.
    """

    def __init__(self, shards: Sequence[Shard], console: Console) -> None:
        self.shards = shards
        self.console = console
        self.bar = Progress(console=console)
        self.task = self.bar.add_task("predict", total=sum(shard.images for shard in shards))
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "LiveTable":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.stop()

    def changed(self, shard: Shard | None) -> None:
        """Show the current state; `shard` is one whose state has changed."""
        if self.live is not None:
            passed = sum(shard.passed for shard in self.shards)
            self.bar.update(self.task, completed=min(passed, sum(shard.images for shard in self.shards)))
            self.live.update(Group(self.bar, status(self.shards), shard_table(self.shards)), refresh=True)
        elif shard is not None:
            self.console.print(shard_line(shard), soft_wrap=True)


def status(shards: Sequence[Shard]) -> str:
    """Number of shards in each state."""
    states = Counter(shard.state for shard in shards)
    return f"{len(shards)} shards: " + ", ".join(f"{states[state]} {state}" for state in reversed(ORDER))


def shard_line(shard: Shard) -> str:
    """One line about a shard."""
    return f"shard {shard.number:04d} {shard.state}, {_images(shard)} images"


def shard_table(shards: Sequence[Shard]) -> Table:
    """Table of the shards that are not finished, as far as it fits a screen."""
    table = Table()
    for heading in ("shard", "state", "images", "starts"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    shown = sorted((shard for shard in shards if shard.state != "finished"), key=lambda shard: ORDER.index(shard.state))
    for shard in shown[:ROWS]:
        table.add_row(f"{shard.number:04d}", shard.state, _images(shard), str(shard.starts))
    if len(shown) > ROWS:
        table.add_row("", f"and {len(shown) - ROWS} more", "", "")
    return table


def _images(shard: Shard) -> str:
    return f"{int(shard.passed)} of {shard.images}"
