"""Options and rows of results that the pairwise benchmarks share."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from benchmarks._pair import Figures, Make, compare
from benchmarks._record import Parser, write_record

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Row(NamedTuple):
    """Two sides, their arguments, and the function that compares their results; see `compare`."""

    ours: Make
    peer: Make
    args: tuple[Any, ...]
    check: Callable[[Any, Any], None]


def parser_of(name: str, doc: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """Return a parser with the options of every pairwise benchmark, to which each adds its own."""
    parser = Parser(name, doc)
    parser.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help="number of alternating timed runs of each side; 0: time the compared runs",
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=(1, 2), help="numbers of threads of each process on a CPU"
    )
    return parser


def measure(rows: Mapping[str, Row], options: argparse.Namespace) -> list[Figures]:
    """Compare every row with every number of threads, print the figures, write them to `--json`, and return them."""
    results: dict[str, Figures] = {}
    width = max(map(len, rows))
    for threads in options.threads if DEVICE == "cpu" else (1,):
        for name, row in rows.items():
            figures = compare(*row, threads, options.rounds)
            results[f"{name}, {DEVICE}, threads {threads}"] = figures
            print(f"{name:{width}} {DEVICE} {threads} threads  {figures.line()}", flush=True)
    if DEVICE == "cpu":
        print("The CUDA rows were not run, because there is no CUDA device.")
    write_record(options, {name: figures.as_dict() for name, figures in results.items()})
    return list(results.values())
