"""Progress of a sweep in the terminal."""

import re
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import Record
from seglight.commands.sweep.study import best_records
from seglight.system.terminal import Name

BEST = 5
"""Number of finished trials that are shown."""

CLASS = re.compile(r'\{"class_path": "(?:\w+\.)*(\w+)"(?:, "init_args": (.*))?\}')
"""Label of a choice that is a class."""


class LiveTable:
    """Table that is redrawn after each change; without a terminal, a line for each trial whose state changes.

    Args:
        sweep: Sweep that defines the objectives and the number of trials.
        records: Records of the coordinator, which updates them.
        console: Console that is printed to.
    """

    def __init__(self, sweep: Sweep, records: Sequence[Record], console: Console) -> None:
        self.sweep = sweep
        self.records = records
        self.console = console
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self.printed: dict[int, str] = {}
        """State of each trial that was printed last."""

    def __enter__(self) -> "LiveTable":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.stop()

    def changed(self, record: Record) -> None:
        """Show a record that has changed."""
        if self.live is not None:
            table = trials_table(self.sweep, self.records)
            self.live.update(Group(status(self.sweep, self.records), table), refresh=True)
        elif self.printed.get(record.number) != record.state:
            self.printed[record.number] = record.state
            self.console.print(trial_line(self.sweep, record), soft_wrap=True)


def trial_line(sweep: Sweep, record: Record) -> str:
    """One line about a trial."""
    parts = [f"trial {record.number:04d} {record.state:<9}"]
    if record.values is not None:
        parts += [f"{name} {format_value(v)}" for name, v in zip(sweep.objectives, record.values, strict=True)]
    parts.append(_candidate(record))
    if record.error:
        parts.append(record.error.splitlines()[0])
    return "  ".join(parts)


def _candidate(record: Record) -> str:
    return "  ".join(f"{key}={format_value(value)}" for key, value in _short_keys(record.params).items())


def status(sweep: Sweep, records: Sequence[Record]) -> str:
    """Number of trials in each state."""
    states = Counter("running" if record.state == "stopping" else record.state for record in records)
    counts = [f"{states[state]} {state}" for state in ("running", "waiting", "finished", "pruned", "failed")]
    return f"{len(records)} of {sweep.trials} trials: {', '.join(counts)}"


def trials_table(sweep: Sweep, records: Sequence[Record]) -> Table:
    """Table of the trials that are not finished, those that failed, and the best finished ones."""
    table = Table()
    for heading in ("trial", "state", "validations", *sweep.objectives, "candidate"):
        table.add_column(Name(heading), justify="left" if heading in ("state", "candidate") else "right")
    shown = [record for record in records if record.state in ("waiting", "running", "stopping", "failed")]
    for record in [*shown, *best_records(sweep, records)[:BEST]]:
        values = [format_value(value) for value in record.values or record.reports[-1:]]
        values += [""] * (len(sweep.objectives) - len(values))
        table.add_row(str(record.number), record.state, str(len(record.reports)), *values, Name(_candidate(record)))
    return table


def _short_keys(params: dict[str, object]) -> dict[str, object]:
    """Parameters by the last parts of their keys, as many as are needed to make the keys unique."""
    for parts in range(1, 10):
        keys = [".".join(key.split(".")[-parts:]) for key in params]
        if len(set(keys)) == len(keys):
            return dict(zip(keys, params.values(), strict=True))
    return params


def format_value(value: object) -> str:
    """A number with four significant digits, a class as its name and arguments, anything else as text."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    named = CLASS.fullmatch(text)
    return f"{named[1]} {named[2] or ''}".strip() if named else text
