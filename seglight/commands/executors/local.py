"""Jobs on this machine: one process per slot, each slot with its own devices."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from seglight.commands.executors.executor import GONE, Job
from seglight.commands.executors.job import exit_code, is_running, request_stop
from seglight.system.atomic import atomic_write

SLOT = "slot"
"""File of a job with the devices that it was started on: the coordinator may be killed before it records them."""


def visible_devices() -> list[str]:
    """GPUs of this machine, named as in `CUDA_VISIBLE_DEVICES`."""
    import torch  # takes seconds

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))


def device_slots(parallel: int, devices: int, names: Sequence[str]) -> list[str]:
    """`CUDA_VISIBLE_DEVICES` of each slot.

    Args:
        parallel: Number of slots.
        devices: GPUs per slot.
        names: Available GPUs; if there are fewer than one slot needs, every slot sees all of them.
    """
    groups = [",".join(names[first : first + devices]) for first in range(0, len(names) - devices + 1, devices)]
    return groups[:parallel] or [",".join(names)] * parallel


class LocalExecutor:
    """Executor that starts one process per job, in a session of its own.

    The process continues when this one ends, and a later executor finds it by its lock.

    Args:
        slots: `CUDA_VISIBLE_DEVICES` of each slot.
        environment: Environment variables of the jobs, beside those of this process.
    """

    def __init__(self, slots: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or {})
        self.free = list(slots)
        self.used: dict[str, list[str]] = {}
        self.started: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def slots(self) -> int:
        """Number of jobs that run, plus the number of free slots."""
        return len(self.used) + len(self.free)

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start jobs in free slots; their names are the slots."""
        return [self._start(job) for job in jobs]

    def _start(self, job: Job) -> str:
        key = str(job.folder)
        slot = self.free.pop(0)
        command = [sys.executable, "-m", "seglight.commands.executors.job", key, json.dumps(job.commands)]
        visible = {"CUDA_VISIBLE_DEVICES": slot} if slot else {}
        atomic_write(job.folder / SLOT, slot)
        environment = {**os.environ, **self.environment, **visible}
        self.started[key] = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        self.used[key] = [slot]
        return slot

    def poll(self, job: Job) -> int | str | None:
        """As in `Executor`; a job of an earlier process occupies its slot, or all slots that share its devices."""
        key = str(job.folder)
        process = self.started.get(key)
        starting = process is not None and process.poll() is None
        if starting or is_running(job.folder):
            if key not in self.used:
                self.used[key] = self._occupy(job)
            return None
        self.started.pop(key, None)
        self.free += self.used.pop(key, [])
        code = exit_code(job.folder)
        if code is None and process is not None and process.returncode > 0:
            code = process.returncode  # the process failed before it ran the job; a killed one is GONE
        return GONE if code is None else code

    def _occupy(self, job: Job) -> list[str]:
        """Remove the slots of a job that an earlier process started from the free ones."""
        if not (job.folder / SLOT).exists():  # started by another executor
            return []
        own = (job.folder / SLOT).read_text(encoding="utf-8")
        devices = set(own.split(","))
        occupied = [own] if own in self.free else [slot for slot in self.free if devices & set(slot.split(","))]
        for slot in occupied:
            self.free.remove(slot)
        return occupied

    def cancel(self, job: Job) -> None:
        """As in `Executor`."""
        request_stop(job.folder)

    def close(self) -> None:
        """Do nothing: there is no connection."""
