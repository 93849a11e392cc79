"""Executor that runs the jobs of shards in this process, and can lose them on the way."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr

from seglight.commands.executors.executor import GONE, Job
from seglight.commands.executors.job import LOG
from seglight.commands.predict.shards import worker
from seglight.commands.predict.shards.shard import write_progress
from seglight.system.signals import SCHEDULERS


class LostError(BaseException):
    """Raised within a job that is lost with its machine."""


class InProcess:
    """Runs each job to its end when it is polled.

    Args:
        ends: How the first jobs end in place of an exit code of their own, in the order of their starts; the work of
            those is done all the same, as far as `limit` allows. None: by their exit code.
        running: Names of the folders of jobs that an earlier process has started, and which still run.

    Attributes:
        started: Names of the folders of the jobs, in the order of their starts.
        batches: Numbers of jobs that were started together.
        cancelled: Names of the folders of jobs that were asked to stop.
    """

    def __init__(self, ends: Sequence[int | str | None] = (), running: Sequence[str] = ()) -> None:
        self.slots: int | None = None
        self.ends = list(ends)
        self.running = list(running)
        self.started: list[str] = []
        self.batches: list[int] = []
        self.cancelled: list[str] = []
        self.waiting: dict[str, int | str | None] = {}

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        self.batches.append(len(jobs))
        for job in jobs:
            self.started.append(job.folder.name)
            self.waiting[job.folder.name] = self.ends.pop(0) if self.ends else None
        return [f"job {job.folder.name}" for job in jobs]

    def poll(self, job: Job) -> int | str | None:
        name = job.folder.name
        if name in self.running:
            if name in self.cancelled:
                self.running.remove(name)
            return 75 if name in self.cancelled else None
        if name not in self.waiting:
            return GONE
        end = self.waiting.pop(name)
        try:
            code = run(job)
        except LostError:
            write_progress(job.folder, 0.0, 0)  # what it has done last was not recorded
            return GONE
        return code if end is None else end

    def cancel(self, job: Job) -> None:
        self.cancelled.append(job.folder.name)

    def close(self) -> None:
        pass


def run(job: Job) -> int:
    """Run the worker of a job in this process, with its output in its log; returns its exit code."""
    with handlers_kept(), (job.folder / LOG).open("a", encoding="utf-8") as log, redirect_stderr(log):
        return worker.main(job.folder)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the handlers of signals that a worker replaces."""
    earlier = {number: signal.getsignal(number) for number in SCHEDULERS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
