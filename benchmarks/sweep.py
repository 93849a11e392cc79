"""Epochs that successive halving saves: 16 trials of a small quickstart in full, then the same 16 with ASHA.

Both sweeps draw the same candidates at random from one seed; two trials run in parallel, on one thread
each. The score of ASHA's best trial is then taken from the full trainings. Scores and candidates depend only on the
seed; which of them ASHA prunes also depends on the order in which they reach a rung.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks._record import Parser, write_record
from seglight.commands.sweep.record import Record, read_records, trial_folder

EPOCHS, IMAGES, BATCH = 8, 128, 8
STEPS = IMAGES // BATCH
"""Number of steps of an epoch."""

SMALL: dict[str, Any] = {
    # warm-up is an eighth of the training, as in the quickstart; each step is logged, so that epochs can be counted
    "trainer": {
        "max_epochs": EPOCHS, "check_val_every_n_epoch": 1, "log_every_n_steps": 1, "enable_progress_bar": False,
    },
    "model": {"schedule": {"init_args": {"warmup_steps": STEPS * EPOCHS // 8}}},
    "data": {
        "init_args": {
            "size": 64, "train_images": IMAGES, "eval_images": 48, "num_workers": 0, "augmentation": {"crop_size": 64},
        }
    },
}  # fmt: skip

SWEEP: dict[str, Any] = {
    "objectives": {"val/miou": "maximize"},
    "space": {
        "model.optimizer.init_args.lr": {"log": [1.0e-4, 3.0e-2]},
        "model.optimizer.init_args.weight_decay": {"log": [1.0e-4, 1.0e-1]},
    },
    "trials": 16,
    "sampler": {"class_path": "optuna.samplers.RandomSampler"},
    "running": {"parallel": 2},
}
ASHA = {
    "class_path": "optuna.pruners.SuccessiveHalvingPruner",
    "init_args": {"min_resource": 2, "reduction_factor": 3},
}
"""Rungs after 2 and 6 of the 8 epochs; the first is past the warm-up."""


def run(out: Path, pruner: dict[str, Any]) -> list[Record]:
    """Start or resume a sweep in its own folder, and return its trials."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "small.yaml").write_text(yaml.safe_dump(SMALL))
    configs = {"configs": ["configs/quickstart.yaml", str(out / "small.yaml")]}
    (out / "given.yaml").write_text(yaml.safe_dump(configs | SWEEP | pruner))
    command = [sys.executable, "-m", "seglight", "sweep", "--config", str(out / "given.yaml"), "--out", str(out)]
    subprocess.run([*command, "--resume"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return read_records(out / "trials")


def epochs(out: Path, records: list[Record]) -> float:
    """Return the number of epochs that the trials of a sweep have trained, pruned trials included."""
    logs = [(trial_folder(out / "trials", record.number) / "metrics.jsonl").read_text() for record in records]
    return sum(int(json.loads(log.splitlines()[-1])["step"]) for log in logs) / STEPS


def main(args: list[str]) -> None:
    """Run both sweeps and print their best scores and numbers of epochs."""
    parser = Parser("sweep", __doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark_sweep"), help="folder of both sweeps")
    options = parser.parse_args(args)
    full = run(options.out / "full", {})
    halved = run(options.out / "asha", {"pruner": ASHA})
    assert [record.params for record in full] == [record.params for record in halved], (
        "the candidates of the two sweeps differ"
    )
    assert all(record.state == "finished" for record in full), "not all trials were trained in full"
    scores = [(record.values or [0.0])[0] for record in full]
    winner = max((record for record in halved if record.values), key=lambda record: (record.values or [0.0])[0])
    taken = {name: epochs(options.out / name, records) for name, records in (("full", full), ("asha", halved))}
    share = taken["asha"] / taken["full"]
    validations = [len(record.reports) for record in halved]
    figures = {
        "full": {"miou": max(scores), "epochs": taken["full"], "scores": scores},
        "asha": {
            "miou": scores[winner.number],
            "epochs": taken["asha"],
            "share": share,
            "validations": validations,
        },
    }
    print(f"full  {taken['full']:6.1f} epochs, the best mIoU {max(scores):.4f}, trial {scores.index(max(scores))}")
    print(f"ASHA  {taken['asha']:6.1f} epochs, its winner's {scores[winner.number]:.4f}, trial {winner.number}")
    print(f"{max(scores) - scores[winner.number]:.4f} below the best for {share:.0%} of the epochs")
    write_record(options, figures)
