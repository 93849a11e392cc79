"""Tables of `docs/results/*.json`, the files that `python -m benchmarks NAME --json FILE` writes."""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "results"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

SECONDS = ("contention", "overhead")
"""Benchmarks all of whose figures are seconds."""

GROUPS = {"loader": ("samples_per_second",)}
"""Of benchmarks that write more than a table can show: the groups of figures that it shows."""

LABELS = {"loader": {"a": "2048x1024 PNG, crop 512x1024", "b": "500x375 JPEG, crop 512", "c": "CamVid PNG, crop 288"}}
"""Names of the rows in place of those in the file."""

RATIO = "ratio"
"""Row with the quotients of two others, which have no unit."""

LONG = 10.0
"""Seconds from which on the times of a column are given in seconds."""


def flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The figures of a row by one name each; the names of nested ones are joined by commas."""
    for key, value in row.items():
        name = f"{before}, {key}" if before else key
        if isinstance(value, Mapping):
            yield from flat(value, name)
        elif not isinstance(value, list):  # single runs stay in the file
            yield name, value


class Column:
    """A column of figures: times in milliseconds or seconds, sizes in megabytes.

    Args:
        name: Name of the figure in the file.
        values: Its values in all rows.
        seconds: Whether they are seconds, whatever the name.
    """

    def __init__(self, name: str, values: Iterable[Any], seconds: bool) -> None:
        self.name = name
        numbers = [value for value in values if is_number(value)]
        self.unit, self.factor = "", 1.0
        if seconds or (name.endswith("seconds") and not name.endswith("per_second")):
            self.unit, self.factor = ("s", 1.0) if max(numbers, default=0) >= LONG else ("ms", 1e3)
        elif name.endswith("bytes"):
            self.unit, self.factor = "MB", 1e-6

    def heading(self) -> str:
        """The heading, with the unit."""
        name = self.name.removesuffix("seconds").removesuffix("bytes").strip("_, ")
        name = name or ("memory" if self.unit == "MB" else "time")
        return f"{name} ({self.unit})".replace("_", " ") if self.unit else self.name.replace("_", " ")

    def shown(self, value: Any) -> str:
        """A figure in three significant digits."""
        if not is_number(value):
            return "" if value is None else str(value)
        value *= self.factor
        return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def is_number(value: Any) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def about(benchmark: str) -> str:
    """What a benchmark compares: the first paragraph of its docstring."""
    module = BENCHMARKS / f"{benchmark}.py"
    text = ast.get_docstring(ast.parse(module.read_text("utf-8"))) if module.exists() else ""
    return (text or "").split("\n\n")[0]


def result_table(name: str) -> str:
    """The table of one file, and how it was measured."""
    record = json.loads((FOLDER / name).read_text("utf-8"))
    benchmark = record["benchmark"]
    groups = GROUPS.get(benchmark)
    rows = {
        LABELS.get(benchmark, {}).get(label, label): dict(
            flat(row if groups is None else {group: row[group] for group in groups})
        )
        for label, row in record["rows"].items()
        if label != RATIO
    }
    names = dict.fromkeys(name for row in rows.values() for name in row)
    columns = [Column(name, (row.get(name) for row in rows.values()), benchmark in SECONDS) for name in names]
    lines = ["| | " + " | ".join(one.heading() for one in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for label, row in rows.items():
        lines.append(f"| {label} | " + " | ".join(one.shown(row.get(one.name)) for one in columns) + " |")
    return "\n".join([*lines, "", provenance(record)])


def provenance(record: Mapping[str, Any]) -> str:
    """One paragraph: command, machine, date and commit."""
    machine = record["machine"]
    devices = ", ".join(machine["devices"]) or "no GPU"
    commit = record["commit"] or "unknown"
    changes = " with uncommitted changes" if commit.endswith("+changes") else ""
    return (
        f"`{record['command']}` on {record['date']}, {machine['cpu']} ({machine['cores']} cores, {devices}), "
        f"Python {machine['python']}, torch {machine['torch']}, commit `{commit[:10]}`{changes}."
    )


def results_without_tables(_: str) -> str:
    """A table for each file that no page of its own shows."""
    pages = "".join(page.read_text("utf-8") for page in FOLDER.glob("*.md"))
    lines: list[str] = []
    for path in sorted(FOLDER.glob("*.json")):
        if f"{{generated}} result {path.name}" not in pages:
            lines += [f"## {path.stem}", "", about(path.stem.partition("_")[0]), "", result_table(path.name), ""]
    return "\n".join(lines)
