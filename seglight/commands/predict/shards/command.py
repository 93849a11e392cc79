"""`predict` in shards: plans them, runs their jobs, and puts together what they have written."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from seglight.commands.executors.endings import REPEAT
from seglight.commands.executors.executor import Executor, Job, Wording
from seglight.commands.executors.job import LOG
from seglight.commands.predict.destination import Destination
from seglight.commands.predict.inputs import Source, count
from seglight.commands.predict.jobs import provenance
from seglight.commands.predict.kinds import TABLES as FILES
from seglight.commands.predict.occupied import shards_folder, written_by_shards
from seglight.commands.predict.outputs import disk_errors
from seglight.commands.predict.request import Outcome, Request
from seglight.commands.predict.shards.coordinator import Coordinator
from seglight.commands.predict.shards.merge import merge_tables
from seglight.commands.predict.shards.shard import (
    PLAN,
    TABLES,
    Plan,
    Shard,
    planned_source,
    read_job,
    read_outcome,
    read_progress,
)
from seglight.commands.predict.shards.split import split
from seglight.commands.predict.shards.table import LiveTable
from seglight.commands.predict.summaries import publish_tables
from seglight.errors import UserError, say
from seglight.inference.exported.runtimes import SUFFIXES
from seglight.system.atomic import atomic_write
from seglight.system.signals import STOP
from seglight.system.terminal import plain_console
from seglight.system.threads import THREADS, granted_threads, threads_of_each
from seglight.training.resume.lock import locked

WORKER = [sys.executable, "-m", "seglight.commands.predict.shards.worker"]

PACKAGES = {"slurm": ("submitit", "sweep"), "ray": ("ray", "ray")}
"""Package that an executor needs, and the extra that installs it."""

REPEATED = "repeat the command"


def predict_shards(
    request: Request,
    sources: Sequence[Source],
    destination: Destination,
    executor: Literal["local", "slurm", "ray"],
    parallel: int,
    devices: int,
) -> Outcome:
    """Predict inputs in shards; a command that is repeated continues, and takes over jobs that still run.

    Args:
        request: Options of the command.
        sources: Input files.
        destination: Output folder.
        executor: Where the shards are predicted.
        parallel: Number of shards, at most one for each image.
        devices: GPUs of each shard, where there are any.

    Raises:
        UserError: The model cannot be used, the cluster is not available, or another command writes to the folder.
        KeyboardInterrupt: A signal came; the jobs have stopped.
    """
    if executor in PACKAGES and find_spec(PACKAGES[executor][0]) is None:
        package, extra = PACKAGES[executor]
        needed = f"{package} is not installed, and --executor {executor} needs it"
        raise UserError(f'{needed}: run pip install "seglight[{extra}]"')
    folder = shards_folder(request.out)
    try:
        with locked(folder, "--out"), written_by_shards(request.out):
            return _predicted(folder, request, sources, destination, executor, parallel, devices)
    finally:
        with suppress(OSError):  # it is kept if it holds anything
            folder.rmdir()


def _predicted(
    folder: Path,
    request: Request,
    sources: Sequence[Source],
    destination: Destination,
    name: str,
    parallel: int,
    devices: int,
) -> Outcome:
    made_by = provenance(request)
    executor = executor_for(name, folder, request, parallel, devices)
    try:
        plans = planned(folder, request, sources, parallel, made_by)
        take_over(folder, plans, executor, name)
        shards = [shard for shard, _ in plans]
        refusal = _run(shards, executor, name, parallel)
    finally:
        executor.close()
    if refusal:
        _clear(folder)
        raise UserError(refusal)
    outcome = _together(request, shards, destination)
    if all(shard.state == "finished" for shard in shards):
        _clear(folder)
        if not outcome.done and not outcome.failures:  # the model reads one file a band
            raise UserError(f"{sources[0].shown}: none of the inputs is the file of a first band: name their folder")
    return outcome


def executor_for(name: str, folder: Path, request: Request, parallel: int, devices: int) -> Executor:
    """Executor that runs the jobs.

    Args:
        name: "local", "slurm" or "ray".
        folder: Folder of the shards.
        request: Options of the command.
        parallel: Maximum number of jobs that run at once.
        devices: GPUs of each job, where there are any and the model runs on one.

    Raises:
        UserError: The cluster is not available.
    """
    on_cpu = request.device == "cpu" or Path(request.models[0]).suffix in SUFFIXES
    gpus = 0 if on_cpu else devices
    if name == "slurm":
        from seglight.commands.executors.slurm import SlurmExecutor

        # without a time, that of the partition; options of the environment override those of a script
        parameters = {"job_name": "seglight-predict", "time": None, "array_parallelism": parallel}
        return SlurmExecutor(folder / "slurm", parameters, Wording("the SBATCH_ variables", REPEATED), gpus)
    if name == "ray":
        from seglight.commands.executors.ray import RayExecutor

        return RayExecutor({}, Wording("--executor ray", REPEATED), gpus)
    from seglight.commands.executors.local import LocalExecutor, device_slots, visible_devices

    chosen = request.device not in ("auto", "cuda")  # such as cuda:1, which a job finds only if it sees all GPUs
    slots = device_slots(parallel, devices, [] if on_cpu or chosen else visible_devices())
    return LocalExecutor(slots, {} if granted_threads() else {THREADS: str(threads_of_each(len(slots)))})


def planned(
    folder: Path, request: Request, sources: Sequence[Source], parallel: int, made_by: str
) -> list[tuple[Shard, Plan]]:
    """Divide the inputs into shards, each with the plan of its job.

    Args:
        folder: Folder of the shards.
        request: Options of the command.
        sources: Input files.
        parallel: Number of shards, at most.
        made_by: Provenance of the label maps.
    """
    counts = [count(source) for source in sources]
    plans = []
    for number, part in enumerate(split(counts, parallel, request.batch)):
        own = folder / f"{number:04d}"
        shard = Shard(number, own, sum(counts[index] for index in part), [([*WORKER, str(own)], LOG)])
        listed = [planned_source(sources[index]) for index in part]
        plans.append((shard, Plan(request, listed, made_by, os.getcwd())))
    return plans


def take_over(folder: Path, plans: Sequence[tuple[Shard, Plan]], executor: Executor, name: str) -> None:
    """Let jobs of a killed command that do the same run on, stop its other jobs, and write the plans of all others.

    Args:
        folder: Folder of the shards.
        plans: Shards and plans of this command.
        executor: Executor of this command.
        name: Name of the executor.

    Raises:
        UserError: Jobs may still wait in Slurm, and this command does not use it.
    """
    texts = {shard.folder: its_plan.text() for shard, its_plan in plans}
    own = {shard.folder: shard for shard, _ in plans}
    others: list[Job] = []
    for former in sorted(folder.glob("[0-9]*")):
        started = read_job(former)
        if started is None:
            continue
        if started[0] == "slurm" and name != "slurm":
            raise UserError(
                f"--executor {name}: jobs of an earlier command may wait in Slurm: repeat it with --executor slurm, or "
                f"cancel them and remove {folder}"
            )
        job = Job(former, [], started[1] if started[0] == name else "")
        if executor.poll(job) is not None:
            continue
        if started[0] == name and former in own and _text(former / PLAN) == texts[former]:
            own[former].state = "running"
            own[former].job = started[1]
            own[former].starts = 1
        else:
            others.append(job)
    _stop(others, executor)
    for former in folder.glob("[0-9]*"):
        if former not in own or own[former].state != "running":
            shutil.rmtree(former)
    for shard in own.values():
        if shard.state != "running":
            atomic_write(shard.folder / PLAN, texts[shard.folder])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _stop(jobs: Sequence[Job], executor: Executor) -> None:
    if jobs:
        say(f"stopping {len(jobs)} jobs of an earlier command with other inputs or options")
    asked = float("-inf")
    while jobs := [job for job in jobs if executor.poll(job) is None]:
        if time.monotonic() - asked >= REPEAT:
            for job in jobs:
                executor.cancel(job)
            asked = time.monotonic()
        time.sleep(0.2)


def _run(shards: Sequence[Shard], executor: Executor, name: str, parallel: int) -> str:
    """Run the jobs to their end; returns the mistake of the user that they report, if any.

    Raises:
        KeyboardInterrupt: A signal came.
    """
    console = plain_console(stderr=True)
    STOP.install()
    try:
        with LiveTable(shards, console) as table:
            coordinator = Coordinator(shards, executor, name, table.changed, STOP, parallel)
            coordinator.run()
    finally:
        STOP.restore()
    if not coordinator.refusal and any(shard.state == "waiting" for shard in shards):
        raise KeyboardInterrupt
    return coordinator.refusal


def _together(request: Request, shards: Sequence[Shard], destination: Destination) -> Outcome:
    """The outcome of all shards, in the order of the inputs, and their tables as one."""
    found = {shard.number: read_outcome(shard.folder) for shard in shards if shard.state == "finished"}
    outcomes = [outcome for outcome in found.values() if outcome is not None]
    failed = [shard for shard in shards if shard.state == "failed"]
    written = sum(read_progress(shard.folder)[1] for shard in failed)
    names = outcomes[0].class_names if outcomes else []
    tables = [name for kind, name in FILES.items() if kind in request.save]
    failures: list[str] = []
    for shard in shards:
        outcome = found.get(shard.number)
        failures += [f"{shard.error}: {REPEATED} to predict the rest"] if outcome is None else outcome.failures
    if outcomes and outcomes[0].note:
        say(outcomes[0].note)
    left_out = [line for outcome in outcomes for line in outcome.left_out]
    if failed:
        out = destination.folder
        left_out += [destination.shown(f"{out / name}: not written, because a shard failed") for name in tables]
    else:
        with disk_errors(request.out):
            merge_tables(request.save, names, [shard.folder / TABLES for shard in shards], destination.folder)
            publish_tables(request.save, destination)
    return Outcome(
        names,
        sum(outcome.done for outcome in outcomes) + written,
        sum(outcome.written for outcome in outcomes) + written,
        failures,
        left_out,
        [line for outcome in outcomes for line in outcome.videos],
    )


def _clear(folder: Path) -> None:
    """Remove everything from the folder of the shards but its locks."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
