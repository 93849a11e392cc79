"""Training images per second of the CamVid recipe and of a peer's script, evaluation included.

Both train the same encoder for the same number of epochs of 45 batches of 8 crops; the recipe trains an FPN on crops of
320x320, the peer its own decoder and crop size. Then they score the 101 validation images. The two alternate, each in
its own process. The time starts with the loading of the first batch and ends with the scores; imports and the
construction of nets are not included. The peer is a script like that of `python -m benchmarks camvid` which also takes
`--epochs` and prints a line of JSON after each epoch and after its scores.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._record import Parser, write_record
from benchmarks.camvid import run_ours

IMAGES = 45 * 8
"""Number of training images of an epoch."""


def peer_seconds(script: Path, root: Path, epochs: int) -> float:
    """Return the script's own training time plus the time from the line of its last epoch to that of its scores."""
    command = [sys.executable, str(script), str(root), "--epochs", str(epochs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [(time.perf_counter(), json.loads(line)) for line in process.stdout if line.startswith("{")]
    assert process.returncode == 0
    (trained, _), (scored, last) = lines[-2:]
    return float(last["train_seconds"]) + scored - trained


def our_seconds(root: Path, run_dir: Path, epochs: int) -> float:
    """Return the seconds of training and evaluation that the run measured."""
    options = {"max_epochs": epochs, "check_val_every_n_epoch": epochs, "num_sanity_val_steps": 0}
    row = run_ours(root, run_dir, [part for key, value in options.items() for part in (f"--trainer.{key}", str(value))])
    spent = json.loads((run_dir / "environment.json").read_text())[-1]["seconds"]
    return float(row["train_seconds"]) + float(spent["evaluation"])


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("epoch", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--peer", type=Path, required=True, help="script of the peer")
    parser.add_argument("--epochs", type=int, default=1, help="number of epochs of a run")
    parser.add_argument("--rounds", type=int, default=5, help="number of alternating runs of each side")
    options = parser.parse_args(args)
    taken: dict[str, list[float]] = {"peer": [], "seglight": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            taken["peer"].append(peer_seconds(options.peer, options.root, options.epochs))
            taken["seglight"].append(our_seconds(options.root, Path(folder) / str(number), options.epochs))
    rates = {side: options.epochs * IMAGES / statistics.median(seconds) for side, seconds in taken.items()}
    for side, seconds in taken.items():
        print(f"{side:9} {rates[side]:6.2f} images/s, seconds {[round(value, 1) for value in seconds]}")
    print(f"images per second relative to the peer: {rates['seglight'] / rates['peer']:.3f}")
    write_record(
        options,
        {
            side: {"images_per_second": rate, "relative_to_the_peer": rate / rates["peer"], "seconds": taken[side]}
            for side, rate in rates.items()
        },
    )
