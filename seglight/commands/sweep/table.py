"""The state of a sweep in the terminal, as it goes on."""

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
"""Finished trials that are shown."""

CLASS = re.compile(r'\{"class_path": "(?:\w+\.)*(\w+)"(?:, "init_args": (.*))?\}')
"""The label of a choice that is a class."""


class LiveTable:
    """A table that is drawn anew after each change; where there is no terminal, a line for each trial that changes.

    Args:
        sweep: Of which the objectives and the number of trials.
        records: Those of the coordinator, which change.
        console: Where to.
    """

    def __init__(self, sweep: Sweep, records: Sequence[Record], console: Console) -> None:
        self.sweep, self.records, self.console = sweep, records, console
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self.said: dict[int, str] = {}

    def __enter__(self) -> "LiveTable":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.stop()

    def changed(self, record: Record) -> None:
        """Show a change."""
        if self.live is not None:
            table = trials_table(self.sweep, self.records)
            self.live.update(Group(status(self.sweep, self.records), table), refresh=True)
        elif self.said.get(record.number) != record.state:
            self.said[record.number] = record.state
            self.console.print(line(self.sweep, record), soft_wrap=True)


def line(sweep: Sweep, record: Record) -> str:
    """A trial in a line."""
    said = f"trial {record.number:04d} {record.state:<9}"
    if record.values is not None:
        said += "  " + "  ".join(f"{name} {number(v)}" for name, v in zip(sweep.objectives, record.values, strict=True))
    said += "  " + "  ".join(f"{key}={number(value)}" for key, value in short(record.params).items())
    return said + (f"  {record.error.splitlines()[0]}" if record.error else "")


def status(sweep: Sweep, records: Sequence[Record]) -> str:
    """How many trials stand where."""
    states = Counter("running" if record.state == "stopping" else record.state for record in records)
    counts = [f"{states[state]} {state}" for state in ("running", "waiting", "finished", "pruned", "failed")]
    return f"{len(records)} of {sweep.trials} trials: {', '.join(counts)}"


def trials_table(sweep: Sweep, records: Sequence[Record]) -> Table:
    """Trials that are under way, those that failed, and the best of the finished ones."""
    table = Table()
    for heading in ("trial", "state", "validations", *sweep.objectives, "candidate"):
        table.add_column(Name(heading), justify="left" if heading in ("state", "candidate") else "right")
    shown = [record for record in records if record.state in ("waiting", "running", "stopping", "failed")]
    for record in [*shown, *best_records(sweep, records)[:BEST]]:
        values = [number(value) for value in record.values or record.reports[-1:]]
        values += [""] * (len(sweep.objectives) - len(values))
        candidate = "  ".join(f"{key}={number(value)}" for key, value in short(record.params).items())
        table.add_row(str(record.number), record.state, str(len(record.reports)), *values, Name(candidate))
    return table


def short(params: dict[str, object]) -> dict[str, object]:
    """Params by the end of their keys, as long as it takes to tell them apart."""
    for parts in range(1, 10):
        keys = [".".join(key.split(".")[-parts:]) for key in params]
        if len(set(keys)) == len(keys):
            return dict(zip(keys, params.values(), strict=True))
    return params


def number(value: object) -> str:
    """A number with four digits that count; a class by its name and arguments; anything else as it is."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    named = CLASS.fullmatch(text)
    return f"{named[1]} {named[2] or ''}".strip() if named else text
