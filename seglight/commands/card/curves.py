"""Learning curves of a run, from what `fit` logged."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seglight.commands.card.scores import plain
from seglight.system.run_files import METRICS_FILE

POINTS = 500
"""Largest number of points of a curve: of longer ones every n-th is kept, and the last one."""

CSV = "metrics.csv"
"""File of Lightning's CSVLogger."""

Curve = list[list[float]]


def curves_of(run: Path) -> dict[str, Curve] | None:
    """The curve of each logged value as steps and values; None if there are none.

    Args:
        run: Run folder of `fit`, with its metrics.jsonl, or with the metrics.csv of Lightning's CSVLogger.
    """
    found: dict[str, dict[int, float]] = {}
    for line in _lines(run):
        step = _number(line.get("step"))
        for key, value in line.items():
            number = _number(value)
            if step is not None and number is not None and "/" in key:
                found.setdefault(key, {})[int(step)] = number
    curves = {key: thinned([[step, value] for step, value in sorted(points.items())]) for key, points in found.items()}
    return curves or None


def thinned(curve: Curve) -> Curve:
    """Every n-th point of a curve and its last one, at most `POINTS` + 1."""
    every = -(-len(curve) // POINTS)
    return curve if every <= 1 else [*curve[:-1:every], curve[-1]]


def _lines(run: Path) -> Iterator[Mapping[str, Any]]:
    path = run / METRICS_FILE
    if path.is_file():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # the last line of a run that was killed
                continue
            if isinstance(line, dict):
                yield line
        return
    for table in sorted(run.rglob(CSV)):
        with table.open(encoding="utf-8", errors="replace", newline="") as file:
            yield from csv.DictReader(file)


def _number(value: Any) -> float | None:
    try:
        return plain(float(value))
    except (TypeError, ValueError):
        return None
