"""Time until `seglight fit` begins its first step, against a bare script that imports the same libraries.

The script imports lightning, torch and timm, and builds the net of configs/quickstart.yaml with the same weights.
`fit` imports what it needs, parses the recipe, builds the net, the data and the trainer, checks the data, opens the run
folder, scores two batches as a check and loads the first batch. Each run is a new process, which ends there; the two
alternate, and the first run of each isn't counted. Seconds are measured from outside. The processor seconds, which
depend less on what else the machine does, are those of the process.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks._record import Parser, write_record

RECIPE = "configs/quickstart.yaml"

BARE = """
import os

import lightning
import timm
import torch

from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN

encoder = TimmEncoder("tf_efficientnet_lite0", weights="offline")
EncoderDecoder(10, encoder=encoder, decoder=lambda *args: FPN(*args, pyramid_channels=128, channels=64))
os._exit(0)
"""


class Taken(NamedTuple):
    """What a process has taken.

    Attributes:
        seconds: Seconds from its start to its end.
        processor: Seconds of the processor that it used, in user and system mode.
    """

    seconds: float
    processor: float


def run(command: Sequence[str]) -> Taken:
    """Run a process and measure it.

    Raises:
        CalledProcessError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def fit(folder: Path) -> list[str]:
    """The command that ends at its first step, with its run in a folder."""
    end = "--trainer.callbacks+=benchmarks._first_step.EndAtFirstStep"
    return [sys.executable, "-m", "seglight", "fit", "--config", RECIPE, "--run_dir", str(folder), end]


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("startup", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="number of alternating runs of each side")
    options = parser.parse_args(args)
    taken: dict[str, list[Taken]] = {"bare script": [], "seglight fit": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds + 1):
            taken["bare script"].append(run([sys.executable, "-c", BARE]))
            taken["seglight fit"].append(run(fit(Path(folder, str(number)))))
    rows = {}
    for side, runs in taken.items():
        medians = [statistics.median(column) for column in zip(*runs[1:], strict=True)]
        rows[side] = dict(zip(Taken._fields, medians, strict=True))
    rows["ratio"] = {name: rows["seglight fit"][name] / rows["bare script"][name] for name in Taken._fields}
    for side, row in rows.items():
        print(f"{side:12}  {row['seconds']:6.2f} (processor: {row['processor']:.2f})")
    write_record(options, rows)
