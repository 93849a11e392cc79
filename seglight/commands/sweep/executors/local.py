"""Trials on this machine: as many at once as there are slots, each slot with devices of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from seglight.commands.sweep.executors.executor import GONE, Job
from seglight.commands.sweep.job import exit_code, is_running, stop
from seglight.system.atomic import atomic_write

SLOT = "slot"
"""File of a job with the devices that it was started on: what was to be kept of it elsewhere, a kill may have lost."""


def visible_devices() -> list[str]:
    """The GPUs of this machine by the names of `CUDA_VISIBLE_DEVICES`."""
    import torch  # takes seconds

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))


def device_slots(parallel: int, devices: int, names: Sequence[str]) -> list[str]:
    """`CUDA_VISIBLE_DEVICES` of each slot.

    Args:
        parallel: Slots that are wanted.
        devices: GPUs of each.
        names: The GPUs that there are; with fewer than one slot takes, every slot sees all of them.
    """
    groups = [",".join(names[first : first + devices]) for first in range(0, len(names) - devices + 1, devices)]
    return groups[:parallel] or [",".join(names)] * parallel


class LocalExecutor:
    """A process a trial, in a session of its own: it outlives this one, and is found again by its lock.

    Args:
        slots: `CUDA_VISIBLE_DEVICES` of each slot.
    """

    def __init__(self, slots: Sequence[str]) -> None:
        self.free = list(slots)
        self.taken: dict[str, list[str]] = {}
        self.started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def slots(self) -> int:
        """Jobs that run, and those for which there is room beside them."""
        return len(self.taken) + len(self.free)

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start jobs in free slots; their names are the slots."""
        return [self._start(job) for job in jobs]

    def _start(self, job: Job) -> str:
        key, slot = str(job.folder), self.free.pop(0)
        command = [sys.executable, "-m", "seglight.commands.sweep.job", key, json.dumps(job.commands)]
        visible = {"CUDA_VISIBLE_DEVICES": slot} if slot else {}
        atomic_write(job.folder / SLOT, slot)
        self.started[key] = subprocess.Popen(
            command, env={**os.environ, **visible}, stdin=subprocess.DEVNULL, start_new_session=True
        )
        self.taken[key] = [slot]
        return slot

    def poll(self, job: Job) -> int | str | None:
        """As in Executor; a job of an earlier process takes its slot, or all that have devices of it."""
        key, process = str(job.folder), self.started.get(str(job.folder))
        starting = process is not None and process.poll() is None
        if starting or is_running(job.folder):
            if key not in self.taken:
                self.taken[key] = self._held(job)
            return None
        self.started.pop(key, None)
        self.free += self.taken.pop(key, [])
        code = exit_code(job.folder)
        if code is None and process is not None and process.returncode > 0:
            code = process.returncode  # it could not even begin; killed, it is gone
        return GONE if code is None else code

    def _held(self, job: Job) -> list[str]:
        """Take the slots that a job of an earlier process holds out of those that are free."""
        if not (job.folder / SLOT).exists():  # another executor's
            return []
        own = (job.folder / SLOT).read_text(encoding="utf-8")
        devices = set(own.split(","))
        held = [own] if own in self.free else [slot for slot in self.free if devices & set(slot.split(","))]
        for slot in held:
            self.free.remove(slot)
        return held

    def cancel(self, job: Job) -> None:
        """As in Executor."""
        stop(job.folder)

    def close(self) -> None:
        """Nothing to let go of."""
