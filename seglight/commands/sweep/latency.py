"""Latencies that can be published: measured when no trial of the sweep trains any more, one net at a time.

The latency that guides the search is measured when each training ends, on its own devices, while other trials train.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from seglight.commands.executors.executor import Executor, Job
from seglight.commands.executors.job import Command, exit_code
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import JOB_FOLDER, Record, trial_folder
from seglight.commands.sweep.trial import LATENCY, cost
from seglight.errors import say
from seglight.system.signals import EXIT_CODE, StopSignals

FOLDER = "alone"
"""Folder of such a measurement, within the job's folder of a trial."""


def measure_latencies(
    trials: Path,
    sweep: Sweep,
    records: Sequence[Record],
    executor: Executor,
    command: Callable[[Path], Command],
    changed: Callable[[Record], None],
    stop: StopSignals,
    interval: float = 0.5,
) -> int:
    """Replace the latency of each finished trial by one that is measured while nothing else runs.

    Args:
        trials: Folder of the trials.
        sweep: Sweep that defines the objectives; nothing is measured unless latency is one of them.
        records: Records of the trials, all done; they are updated and saved. No trial is measured twice.
        executor: Executor that ran the trainings.
        command: Function that gives the command that measures the costs of the net in a trial's folder.
        changed: Function that is called with a record after each update.
        stop: Signals that end this process.
        interval: Seconds between two polls.

    Returns:
        0, or 75 if a signal came before all were measured.
    """
    finished = [record for record in records if record.values is not None and LATENCY in sweep.objectives]
    folders = {record.number: trial_folder(trials, record.number) / JOB_FOLDER / FOLDER for record in finished}
    due = sum(exit_code(folder) != 0 for folder in folders.values())
    if due:
        say(f"all trainings have ended: measuring {due} latencies one at a time")
    for record in finished:
        folder = folders[record.number]
        ended: int | str | None = exit_code(folder)
        if ended != 0:
            ended = _run(executor, Job(folder, [command(trial_folder(trials, record.number))]), stop, interval)
        if stop.received is not None:
            return EXIT_CODE
        seconds = cost(folder, LATENCY)
        if ended != 0 or not math.isfinite(seconds):
            say(
                f"trial {record.number:04d}: the measurement of its latency failed ({ended}): "
                "the report shows the latency that was measured while other trials trained"
            )
            continue
        values = dict(zip(sweep.objectives, record.values or [], strict=True)) | {LATENCY: seconds}
        record.values = list(values.values())
        record.save(trials)
        changed(record)
    return 0


def _run(executor: Executor, job: Job, stop: StopSignals, interval: float) -> int | str:
    (name,) = executor.submit([job])
    ended = None
    cancelled = False
    while ended is None:
        time.sleep(interval)
        if stop.received is not None and not cancelled:
            executor.cancel(job)
            cancelled = True
        ended = executor.poll(replace(job, name=name))
    return ended
