"""Tables of `docs/results/*.json`, the files that `python -m benchmarks NAME --json FILE` writes."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "results"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The figures of a row by one name each; the names of nested ones are joined by commas."""
    for key, value in row.items():
        name = f"{before}, {key}" if before else key
        if isinstance(value, Mapping):
            yield from flat(value, name)
        elif not isinstance(value, list):  # single runs stay in the file
            yield name, value


def heading(name: str) -> str:
    """The heading of a column, with the unit in which `shown` gives it."""
    for ending, unit in (("seconds", "ms"), ("bytes", "MB")):
        if name.endswith(ending):
            return f"{name.removesuffix(ending).strip('_, ') or 'time'} ({unit})".replace("_", " ")
    return name.replace("_", " ")


def shown(name: str, value: Any) -> str:
    """A figure in three significant digits, times in milliseconds and sizes in megabytes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    value *= 1e3 if name.endswith("seconds") else 1e-6 if name.endswith("bytes") else 1
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def about(benchmark: str) -> str:
    """What a benchmark compares: the first paragraph of its docstring."""
    module = BENCHMARKS / f"{benchmark}.py"
    text = ast.get_docstring(ast.parse(module.read_text("utf-8"))) if module.exists() else ""
    return (text or "").split("\n\n")[0]


def result_table(name: str) -> str:
    """The table of one file, and how it was measured."""
    record = json.loads((FOLDER / name).read_text("utf-8"))
    rows = {label: dict(flat(row)) for label, row in record["rows"].items()}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(heading(column) for column in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for label, row in rows.items():
        lines.append(f"| {label} | " + " | ".join(shown(column, row.get(column)) for column in columns) + " |")
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
