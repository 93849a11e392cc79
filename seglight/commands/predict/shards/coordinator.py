"""Coordinator of the shards: starts their jobs, starts lost ones again, and decides how they ended."""

import time
from collections.abc import Callable, Iterator, Sequence

from seglight.commands.executors.endings import (
    LONGEST,
    MAX_VANISHED,
    PREEMPTED,
    REPEAT,
    USER_ERROR,
    described,
    last_error,
    log_size,
)
from seglight.commands.executors.executor import CANCELLED, GONE, Executor
from seglight.commands.predict.shards.shard import JOB, Shard, State, read_outcome, write_job
from seglight.errors import say
from seglight.system.signals import StopSignals

RETRIES = 2
"""Number of times in a row that a job which ends with an error is started again without getting further."""

REFUSAL = 4000
"""Characters of a mistake that a job reports: it concerns all shards, and ends the command."""

PAUSE = 5.0
"""Seconds before a job that failed or vanished is started again."""


class Coordinator:
    """Runs the jobs of all shards to their end.

    Args:
        shards: The shards; jobs of those that are running were started by an earlier command.
        executor: Executor that runs the jobs.
        name: Name of the executor.
        changed: Function that is called with a shard whose state has changed, and with None after each poll.
        stop: Signals that end this process, after which the jobs are asked to stop too.
        parallel: Maximum number of jobs that run at once.
        interval: Seconds between two polls of the jobs.
        pause: Seconds before a job that failed or vanished is started again.

    Attributes:
        refusal: Mistake of the user that a job has reported and that concerns all of them; empty if there is none.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        executor: Executor,
        name: str,
        changed: Callable[[Shard | None], None],
        stop: StopSignals,
        parallel: int,
        interval: float = 1.0,
        pause: float = PAUSE,
    ) -> None:
        self.shards = shards
        self.executor = executor
        self.name = name
        self.changed = changed
        self.stop = stop
        self.parallel = parallel
        self.interval = interval
        self.pause = pause
        self.refusal = ""
        self.retry_at: dict[int, float] = {}
        """Time at which a shard whose job failed or vanished may be started again."""
        self.cancelled_at: dict[int, float] = {}
        """Time at which a job was last asked to stop."""
        self.log_starts: dict[int, int] = {}
        """Size of the log of a shard when its job was last started."""

    def run(self) -> None:
        """Run until every shard is finished or has failed; after a signal or a refusal, until no job runs any more.

        Raises:
            UserError: The executor fails.
        """
        announced = False
        while True:
            if self.stop.received is not None and not announced:
                say("stopping: waiting for the jobs to end")
                announced = True
            for shard in self._with("running"):
                self._update(shard)
            if not self._stopping:
                self._start()
            self.changed(None)
            if not any(self._with("running")) and (self._stopping or not any(self._with("waiting"))):
                return
            time.sleep(self.interval)

    @property
    def _stopping(self) -> bool:
        return self.stop.received is not None or bool(self.refusal)

    def _with(self, state: State) -> Iterator[Shard]:
        return (shard for shard in self.shards if shard.state == state)

    def _start(self) -> None:
        """Start the jobs of waiting shards in free slots."""
        limits = (self.parallel, self.executor.slots)
        slots = min(limit for limit in limits if limit is not None)
        now = time.monotonic()
        due = [shard for shard in self._with("waiting") if now >= self.retry_at.get(shard.number, 0.0)]
        due = due[: max(0, slots - len([*self._with("running")]))]
        if not due:
            return
        for shard in due:
            shard.prepare()
            shard.starts += 1
            self.log_starts[shard.number] = log_size(shard.log)
            write_job(shard.folder, self.name, "")  # the name of the job comes after its start
        for shard, name in zip(due, self.executor.submit([shard.as_job() for shard in due]), strict=True):
            shard.job = name
            write_job(shard.folder, self.name, name)
            self._set_state(shard, "running")

    def _update(self, shard: Shard) -> None:
        """Read the progress of a job that runs, and handle its end."""
        ended = self.executor.poll(shard.as_job())
        shard.read_progress()
        if ended is not None:
            self._handle_end(shard, ended)
        elif self._stopping and time.monotonic() - self.cancelled_at.get(shard.number, float("-inf")) >= REPEAT:
            self.executor.cancel(shard.as_job())
            self.cancelled_at[shard.number] = time.monotonic()

    def _handle_end(self, shard: Shard, ended: int | str) -> None:
        (shard.folder / JOB).unlink(missing_ok=True)
        if ended == 0 and read_outcome(shard.folder) is not None:
            shard.passed = float(shard.images)
            self._set_state(shard, "finished")
        elif ended == USER_ERROR:
            self.refusal = self.refusal or self._cause(shard, REFUSAL) or f"{shard.log}: exit code {USER_ERROR}"
            self._set_state(shard, "waiting")
        elif self._stopping or ended in PREEMPTED:
            self._set_state(shard, "waiting")
        elif ended == CANCELLED:
            self._fail(shard, "its job was cancelled by hand")
        elif ended in (0, GONE):
            shard.vanished += 1
            self._retry_or_fail(shard, "its job vanished", shard.vanished, MAX_VANISHED)
        else:
            shard.failures += 1
            cause = self._cause(shard, LONGEST) or "its log gives no cause"
            self._retry_or_fail(shard, f"{described(ended)}: {cause}", shard.failures, RETRIES)

    def _cause(self, shard: Shard, longest: int) -> str:
        return last_error(shard.log, self.log_starts.get(shard.number, 0), longest)

    def _retry_or_fail(self, shard: Shard, reason: str, times: int, most: int) -> None:
        if times > most:
            self._fail(shard, f"{reason}, {times} times without getting further")
            return
        say(f"shard {shard.number:04d}: {reason} ({shard.log}): it is started again in {self.pause:g} s")
        self.retry_at[shard.number] = time.monotonic() + self.pause
        self._set_state(shard, "waiting")

    def _fail(self, shard: Shard, reason: str) -> None:
        shard.error = f"shard {shard.number:04d}: {reason} ({shard.log})"
        self._set_state(shard, "failed")

    def _set_state(self, shard: Shard, state: State) -> None:
        shard.state = state
        self.changed(shard)
