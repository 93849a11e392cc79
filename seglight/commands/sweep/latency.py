"""Latency as it can be published: measured when nothing of the sweep trains any more, one net at a time.

What guides the search is measured as each training ends, beside others that still run, on the devices that it had.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from seglight.commands.sweep.executors.executor import Executor, Job
from seglight.commands.sweep.job import Command, exit_code
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import OWN, Record, folder_of
from seglight.commands.sweep.trial import LATENCY, cost
from seglight.errors import say
from seglight.system.signals import EXIT_CODE, StopSignals

ALONE = "alone"
"""Folder of such a measurement, within the sweep's own of a trial."""


def measure_alone(
    trials: Path,
    sweep: Sweep,
    records: Sequence[Record],
    executor: Executor,
    command: Callable[[Path], Command],
    changed: Callable[[Record], None],
    stop: StopSignals,
    every: float = 0.5,
) -> int:
    """Put the latency of each finished trial, measured alone, in the place of that which guided the search.

    Args:
        trials: Folder of the trials.
        sweep: Of which the objectives; without latency among them there is nothing to do.
        records: All settled; changed and saved. One that was measured alone already is not measured again.
        executor: Where: the place that they were trained in.
        command: Gives what finds the costs of the net of a trial's folder.
        changed: Called with a record after its change.
        stop: Signals that end this process.
        every: Seconds between two looks.

    Returns:
        0, or 75 where it was told to stop before all were measured.
    """
    finished = [record for record in records if record.values is not None and LATENCY in sweep.objectives]
    places = {record.number: folder_of(trials, record.number) / OWN / ALONE for record in finished}
    due = sum(exit_code(place) != 0 for place in places.values())
    if due:
        say(f"nothing trains any more: measuring latencies one at a time, {due} to go")
    for record in finished:
        place = places[record.number]
        ended: int | str | None = exit_code(place)
        if ended != 0:
            ended = _run(executor, Job(place, [command(folder_of(trials, record.number))]), stop, every)
        if stop.received is not None:
            return EXIT_CODE
        seconds = cost(place, LATENCY)
        if ended != 0 or not math.isfinite(seconds):
            say(f"trial {record.number:04d}: not measured alone ({ended}): its latency is that beside other trainings")
            continue
        values = dict(zip(sweep.objectives, record.values or [], strict=True)) | {LATENCY: seconds}
        record.values = list(values.values())
        record.save(trials)
        changed(record)
    return 0


def _run(executor: Executor, job: Job, stop: StopSignals, every: float) -> int | str:
    (name,) = executor.submit([job])
    ended, told = None, False
    while ended is None:
        time.sleep(every)
        if stop.received is not None and not told:
            executor.cancel(job)
            told = True
        ended = executor.poll(replace(job, name=name))
    return ended
