"""`fit --seeds 0,1,2`: one recipe trained once for each seed, each in a process and a folder of its own."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seglight.errors import UserError, terminal
from seglight.system.atomic import atomic_write
from seglight.system.run_files import CHECKPOINTS, SCORES_FILE
from seglight.system.safe_recipe import safe_option
from seglight.system.signals import EXIT_CODE, ForwardedSignals
from seglight.training.resume.lock import PATIENCE, locked

FIT = [sys.executable, "-m", "seglight", "fit"]
FILE = "seeds.json"


class Options(NamedTuple):
    """Options of all runs together; `rest` is passed on to each of them."""

    seeds: list[int]
    run_dir: Path
    resume: str | None
    rest: list[str]
    devices: int | None


def main(args: list[str]) -> int:
    """Train, wait, and report the mean of the runs' `val/miou`.

    Devices are shared out if `--trainer.devices N` stands among the arguments: N to a run, as many runs at once as
    there are devices for. Otherwise the runs take turns.

    Args:
        args: "fit" and its arguments.

    Returns:
        0, or the exit code of the first run that failed or was stopped; none is started after it.

    Raises:
        UserError: An argument is wrong, there is a run already, or a finished run has no score.
    """
    options = parse(args[1:])
    folders = {seed: options.run_dir / f"seed_{seed}" for seed in options.seeds}
    signals = ForwardedSignals()
    with locked(options.run_dir, patience=PATIENCE if options.resume else 0.0, stopping=lambda: bool(signals.received)):
        return train(options, folders, signals)


def train(options: Options, folders: dict[int, Path], signals: ForwardedSignals) -> int:
    """Train for each seed in its folder, and report.

    Args:
        options: Options of all runs.
        folders: Folder of each run, by its seed.
        signals: Forwards the signals that arrive to the runs.

    Returns:
        As `main`.

    Raises:
        UserError: There is a run already, or a finished run has no score.
    """
    taken = [folder for folder in folders.values() if any((folder / CHECKPOINTS).glob("[!.]*.ckpt"))]
    if taken and options.resume is None:
        raise UserError(f"{taken[0]} holds a run already: choose another --run_dir, or resume it with --resume")
    resume = ["--resume"] if options.resume in (None, "exact") else ["--resume", options.resume]
    commands = [
        [*FIT, *safe_option(), *options.rest, "--seed_everything", str(seed), "--run_dir", str(folder), *resume]
        for seed, folder in folders.items()
    ]
    code = run_all(commands, device_groups(options.devices), signals)
    if code == 0:
        report(options.run_dir, folders)
    return code


def parse(args: Sequence[str]) -> Options:
    """Separate the options of all runs from the other arguments of `fit`.

    Raises:
        UserError: The seeds are not different whole numbers, the folder is missing, or there is --seed_everything too.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--seeds", "--run_dir", "--seed_everything"):
        parser.add_argument(option)
    parser.add_argument("--resume", nargs="?", const="exact", choices=("exact", "force"))
    found, rest = parser.parse_known_args(list(args))
    try:
        seeds = [int(seed) for seed in found.seeds.split(",")]
    except ValueError as error:
        raise UserError(f"--seeds {found.seeds}: give whole numbers with commas between, such as 0,1,2") from error
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {found.seeds}: one of them stands there twice")
    if found.seed_everything is not None:
        raise UserError("--seed_everything beside --seeds: leave it out, each run gets its own")
    if found.run_dir is None:
        raise UserError("--seeds wants a folder for all runs: add --run_dir DIR")
    return Options(seeds, Path(found.run_dir), found.resume, rest, _devices(rest))


def _devices(rest: list[str]) -> int | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--trainer.devices", dest="devices", default="")
    devices: str = parser.parse_known_args(rest)[0].devices
    return int(devices) if devices.isdigit() and int(devices) else None


def device_groups(devices: int | None) -> list[str | None]:
    """`CUDA_VISIBLE_DEVICES` of the runs that train at once; [None]: one after the other, each on all devices."""
    if devices is None:
        return [None]
    import torch  # takes seconds

    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    names = visible.split(",")
    groups: list[str | None] = [
        ",".join(names[first : first + devices]) for first in range(0, len(names) - devices + 1, devices)
    ]
    return groups if len(groups) > 1 else [None]


def run_all(commands: list[list[str]], groups: list[str | None], signals: ForwardedSignals) -> int:
    """Run the commands, one at a time on each group of devices.

    After a failure no more are started, and those that run are waited for. Signals to stop are forwarded to them.

    Returns:
        0, or the first other exit code.
    """
    waiting = list(commands)
    free = list(groups)
    code = 0
    running: dict[subprocess.Popen[bytes], str | None] = {}
    with signals:
        while running or (waiting and code == 0):
            while waiting and free and code == 0:
                group = free.pop(0)
                devices = {} if group is None else {"CUDA_VISIBLE_DEVICES": group}
                environment = {**os.environ, **devices}
                # in a session of its own, so that Ctrl-C reaches it once, from here; file descriptors stay open,
                # so that a lock that this process inherited is held by what it starts, too
                process = subprocess.Popen(waiting.pop(0), env=environment, start_new_session=True, close_fds=False)
                running[process] = group
                signals.add(process)
            for process in [process for process in running if process.poll() is not None]:
                free.append(running.pop(process))
                signals.remove(process)
                ended = process.returncode if process.returncode >= 0 else 128 - process.returncode
                code = code or ended or (EXIT_CODE if signals.received and waiting else 0)
            time.sleep(0.05)
    return code


def report(run_dir: Path, folders: dict[int, Path]) -> None:
    """Print each run's score and folder, their mean and standard deviation (n - 1), and write `seeds.json`.

    Raises:
        UserError: A run has no score.
    """
    mious = {}
    for seed, folder in folders.items():
        path = folder / SCORES_FILE
        miou = json.loads(path.read_text(encoding="utf-8"))["miou"] if path.is_file() else None
        if miou is None:
            raise UserError(f"{folder}: the run is finished, but has no score: was it too short for a validation?")
        mious[seed] = miou
        sys.stdout.write(terminal(f"seed {seed:<6} val/miou {miou:.4f}  {folder}") + "\n")
    mean = statistics.fmean(mious.values())
    deviation = statistics.stdev(mious.values()) if len(mious) > 1 else None
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    sys.stdout.write(f"{len(mious)} seeds: val/miou {mean:.4f}{spread}\n")
    runs = {str(seed): {"val_miou": mious[seed], "run": str(folder)} for seed, folder in folders.items()}
    content = {"val_miou": {"mean": mean, "deviation": deviation}, "runs": runs}
    atomic_write(run_dir / FILE, json.dumps(content, indent=2) + "\n")
