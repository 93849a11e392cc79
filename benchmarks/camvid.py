"""The CamVid recipe compared with a peer's script of the same budget, one after the other on this machine.

The peer is any script that is called with the folder of CamVid and prints, as its last line, JSON with
`train_seconds` and `val: {miou, iou: [...]}`. Its time is that of the training loop without evaluation. Our time is
measured in the same way (the run's `train/seconds`), and also as the time of the whole process, including imports.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._record import Parser, write_record

RECIPE = "configs/camvid/fpn_efficientnet_lite0.yaml"


def run_peer(script: Path, root: Path) -> dict[str, Any]:
    """Run the peer's script; return its training seconds, mIoU and IoU of each class."""
    done = subprocess.run([sys.executable, script, root], capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.strip().splitlines()[-1])
    return {"train_seconds": last["train_seconds"], "miou": last["val"]["miou"], "iou": last["val"]["iou"]}


def run_ours(root: Path, run_dir: Path, extra: list[str]) -> dict[str, Any]:
    """Fit the recipe; return the seconds of training and of the whole process, mIoU and IoU of each class."""
    command = [sys.executable, "-m", "seglight", "fit", "--config", RECIPE, "--data.init_args.root", str(root)]
    start = time.time()
    subprocess.run([*command, "--run_dir", str(run_dir), *extra], check=True, env={**os.environ, "COLUMNS": "200"})
    seconds = time.time() - start
    scores = json.loads((run_dir / "scores.json").read_text())
    return {
        "train_seconds": round(train_seconds(run_dir), 1),
        "process_seconds": round(seconds, 1),
        "miou": round(scores["miou"], 4),
        "iou": [round(value, 3) for value in scores["iou"].values()],
    }


def train_seconds(run_dir: Path) -> float:
    """Return the last logged training time of the run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0})
    events.Reload()
    return float(events.Scalars("train/seconds")[-1].value)


def main(args: list[str]) -> None:
    """Run the peer and seglight one after the other, and print both results."""
    parser = Parser("camvid", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--peer", type=Path, help="script of the peer; without it only seglight is run")
    parser.add_argument("--run_dir", type=Path, default=Path("runs/benchmark_camvid"))
    options, extra = parser.parse_known_args(args)
    rows = {"peer": run_peer(options.peer, options.root)} if options.peer else {}
    rows["seglight"] = run_ours(options.root, options.run_dir, extra)
    for name, row in rows.items():
        print(f"{name:<9} {json.dumps(row)}")
    if options.peer:
        ratio = rows["seglight"]["train_seconds"] / rows["peer"]["train_seconds"]
        print(f"training time relative to the peer: {ratio:.3f}")
    write_record(options, rows)
