"""What benchmarks of pairs share: their options, and the rows that they print and write."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks._pair import Figures, Make, compare

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Row(NamedTuple):
    """Two sides, what both are made from, and what holds them equal; see `compare`."""

    ours: Make
    peer: Make
    args: tuple[Any, ...]
    check: Callable[[Any, Any], None]


def parser_of(name: str, doc: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """The options of every benchmark of pairs; it adds its own."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=doc)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="timed runs of each side, in turn; 0: those compared"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2), help="of each process, on a CPU")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser


def measure(rows: Mapping[str, Row], options: argparse.Namespace) -> list[Figures]:
    """Compare every row with every number of threads, print it, write all where that was asked for, and give it."""
    results: dict[str, Figures] = {}
    width = max(map(len, rows))
    for threads in options.threads if DEVICE == "cpu" else (1,):
        for name, row in rows.items():
            figures = compare(*row, threads, options.rounds)
            results[f"{name}, {DEVICE}, threads {threads}"] = figures
            print(f"{name:{width}} {DEVICE} {threads} threads  {figures.line()}", flush=True)
    if DEVICE == "cpu":
        print("CUDA rows not run: there is no CUDA device")
    if options.json:
        options.json.write_text(
            json.dumps({name: figures.as_dict() for name, figures in results.items()}, indent=2) + "\n"
        )
    return list(results.values())
