"""The file of `--json`: what was measured, by which command, on which machine, when, and at which commit.

Files of this form in `docs/results/` become the tables of the manual.
"""

import argparse
import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from seglight.callbacks.environment import cpu_name, git_state
from seglight.system.atomic import atomic_write

PROJECT = Path(__file__).parents[1]


class Parser(argparse.ArgumentParser):
    """Parser of a benchmark with `--json`; it keeps the command for the file.

    Args:
        benchmark: Name of the benchmark.
        doc: Docstring of its module.
    """

    def __init__(self, benchmark: str, doc: str | None) -> None:
        super().__init__(prog=f"python -m benchmarks {benchmark}", description=doc)
        self.benchmark = benchmark
        self.add_argument("--json", type=Path, help="JSON file for the figures, the command and the machine")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and set `benchmark` and `command`."""
        found, rest = super().parse_known_args(args, namespace)
        found.benchmark = self.benchmark
        found.command = command_of(self.benchmark, list(args or ()))
        return found, rest


def command_of(benchmark: str, args: Sequence[str]) -> str:
    """The command, without `--json FILE`, and with absolute paths as the name of their option in capital letters."""
    shown: list[str] = []
    option = ""
    for arg in map(str, args):
        if arg.startswith("--"):
            option = arg
        if option.partition("=")[0] != "--json":
            shown.append(option.lstrip("-").upper() if os.path.isabs(arg) else shlex.quote(arg))
    return " ".join(["python -m benchmarks", benchmark, *shown])


def machine() -> dict[str, Any]:
    """The processor, the devices and the versions that times depend on."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write_record(options: argparse.Namespace, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the file of `--json`, if the option was given.

    Args:
        options: What `Parser` has parsed.
        rows: Figures of each row by name; they may be nested.
    """
    if options.json is None:
        return
    git = git_state(PROJECT)
    record = {
        "benchmark": options.benchmark,
        "command": options.command,
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": None if git is None else git["commit"] + ("+changes" if git["dirty"] else ""),
        "rows": {name: dict(row) for name, row in rows.items()},
    }
    atomic_write(options.json, json.dumps(record, indent=2) + "\n")
