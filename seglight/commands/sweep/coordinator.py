"""The one writer of a sweep: proposes candidates, starts their trials, prunes them, and judges how they end.

All that it knows is in the trials' records, each written before the step that it tells of, so that it may be killed
between any two lines: another coordinator reads them and goes on.
"""

import time
from collections.abc import Callable
from pathlib import Path

from seglight.commands.sweep.executors.executor import CANCELLED, GONE, Executor, Job
from seglight.commands.sweep.failures import REFUSED, are_one, cause_of, is_final, log_of, size_of_log
from seglight.commands.sweep.job import EXIT, STOP, Command
from seglight.commands.sweep.learning_curve import Course
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import OWN, Record, folder_of, own_file, read_records
from seglight.commands.sweep.study import is_to_be_pruned, new_record
from seglight.commands.sweep.trial import last_lines, objectives
from seglight.errors import say
from seglight.system.atomic import atomic_write
from seglight.system.run_files import RECIPE_FILE
from seglight.system.signals import EXIT_CODE, SCHEDULERS, StopSignals

PREEMPTED = (EXIT_CODE, *(-number for number in SCHEDULERS), *(128 + number for number in SCHEDULERS))
"""Ends after which a trial goes on at once: it was asked to stop, also before it could heed that."""

VANISHED = 10
"""How often in a row a trial's job may vanish without a validation between: it may be the trial that takes it down."""

ALIKE = 3
"""Trials that fail for one reason, and nothing else, after which no more are started."""

REPEAT = 10.0
"""Seconds after which a job that was told to stop is told again: it may have been too young to hear."""


class Coordinator:
    """Brings a sweep to its end.

    Args:
        trials: Folder of the trials; those that are there are gone on with.
        sweep: What is searched.
        executor: Where.
        recipe: Gives the `config.yaml` of a record.
        commands: Gives what trains the trial in a folder.
        changed: Called with a record after each change.
        stop: Signals that end this process; the trials are told, too.
        every: Seconds between two looks at the trials.
    """

    def __init__(
        self,
        trials: Path,
        sweep: Sweep,
        executor: Executor,
        recipe: Callable[[Record], str],
        commands: Callable[[Path], list[Command]],
        changed: Callable[[Record], None],
        stop: StopSignals,
        every: float = 1.0,
    ) -> None:
        self.trials, self.sweep, self.executor = trials, sweep, executor
        self.recipe, self.commands, self.changed, self.stop = recipe, commands, changed, stop
        self.every = every
        self.records = read_records(trials)
        self.resting: dict[int, float] = {}
        """When a trial that failed or vanished may go on."""
        self.told: dict[int, float] = {}
        """When a trial was last told to stop."""
        self.logs: dict[int, int] = {}
        """Bytes in the log of a trial before this process has started it for the last time."""
        self.said = ""
        """The cause of a failure that was told last."""
        self.failed = False
        """Whether this process has seen a trial fail: of those before it, the reason may be gone."""
        self.courses = [self._course(record) for record in self.records]
        hours = sweep.running.hours
        self.end = float("inf") if hours is None else time.monotonic() + 3600 * hours

    def run(self) -> int:
        """Run until all trials are settled.

        Returns:
            0; 75 where it was told to stop before; 2 where all trials fail for one reason.
        """
        told = False
        while True:
            if self.stop.received is not None and not told:
                say("stopping: the trials save and leave")
                told = True
            for record in self.open():
                self._attend(record)
            if self.stop.received is None and not self.hopeless:
                self._start()
            if not any(record.state in ("running", "stopping") for record in self.records):
                if self.stop.received is not None:
                    return EXIT_CODE
                if self.hopeless:
                    return REFUSED
                if not self.open():
                    return 0
            time.sleep(self.every)

    @property
    def hopeless(self) -> bool:
        """Whether trials fail for one reason, one now, and none has come as far as a validation."""
        failed = [record.cause for record in self.records if record.state == "failed"]
        fruitful = any(record.reports or record.state in ("finished", "pruned") for record in self.records)
        enough = self.failed and len(failed) >= min(ALIKE, self.sweep.trials)
        return enough and not fruitful and are_one(failed)

    def open(self) -> list[Record]:
        """Trials that are not settled."""
        return [record for record in self.records if not record.settled]

    def _start(self) -> None:
        """Fill the slots: with trials that are to go on, then with new ones.

        One that rests after a failure keeps its slot: what is proposed next may hang on it.
        """
        limits = (self.sweep.running.parallel, self.executor.slots)
        slots = min(limit for limit in limits if limit is not None)
        while len(self.open()) < slots and len(self.records) < self.sweep.trials and time.monotonic() < self.end:
            self._propose()
        now = time.monotonic()
        waiting = [record for record in self.open() if record.state == "waiting"]
        due = [record for record in waiting if now >= self.resting.get(record.number, 0.0)]
        due = due[: max(0, slots - sum(record.state in ("running", "stopping") for record in self.records))]
        if not due:
            return
        for record in due:
            for file in (EXIT, STOP):
                own_file(self.trials, record.number, file).unlink(missing_ok=True)
            self.logs[record.number] = size_of_log(self.trials, record)
            self._to(record, "running")
        names = self.executor.submit([self._job(record) for record in due])
        for record, name in zip(due, names, strict=True):
            record.job = name
            record.save(self.trials)

    def _propose(self) -> None:
        record = new_record(self.sweep, self.records)
        atomic_write(folder_of(self.trials, record.number) / RECIPE_FILE, self.recipe(record))
        record.save(self.trials)  # from here on there is such a trial
        self.records.append(record)
        self.courses.append(self._course(record))

    def _attend(self, record: Record) -> None:
        """Look after a trial that runs: its reports first, then its end."""
        if record.state == "waiting":
            return
        ended = self.executor.poll(self._job(record))
        if record.state == "running":
            self._read_reports(record)
        if ended is not None:
            self._judge(record, ended)
        elif record.state == "stopping" or self.stop.received is not None:
            self._tell(record)

    def _read_reports(self, record: Record) -> None:
        """Take what is new, one by one, and prune at the first at which the pruner says so."""
        course = self.courses[record.number]
        for report in course.reports()[len(record.reports) :]:
            record.reports.append(report.value)
            record.vanished = 0
            several = len(self.sweep.objectives) > 1
            if several or not course.goes_on_after(report):
                self._to(record, "running")
            elif is_to_be_pruned(self.sweep, self.records, record.number):
                self._to(record, "stopping")
                return
            else:
                self._to(record, "running")

    def _tell(self, record: Record) -> None:
        if time.monotonic() - self.told.get(record.number, float("-inf")) >= REPEAT:
            self.executor.cancel(self._job(record))
            self.told[record.number] = time.monotonic()

    def _judge(self, record: Record, ended: int | str) -> None:
        """What becomes of a trial that has ended: one that is to be pruned is, however it did."""
        self.told.pop(record.number, None)
        if record.state == "stopping":
            self._to(record, "pruned")
        elif ended == 0:
            self._finish(record)
        elif ended == CANCELLED and self.stop.received is None:
            self._fail(record, "cancelled by hand")
        elif ended in PREEMPTED or self.stop.received is not None:
            self._to(record, "waiting")
        elif ended == GONE:
            self._start_again_later(record)
        else:
            self._fail_for_now(record, ended)

    def _finish(self, record: Record) -> None:
        found = objectives(self.sweep, folder_of(self.trials, record.number))
        if isinstance(found, str):
            self._fail(record, found, found)
        else:
            record.values = found
            self._to(record, "finished")

    def _start_again_later(self, record: Record) -> None:
        record.vanished += 1
        if record.vanished > VANISHED:
            self._fail(record, f"its job vanished {record.vanished} times without a validation between")
        else:
            self._rest(record, "its job vanished", "")

    def _fail_for_now(self, record: Record, ended: int | str) -> None:
        record.failures += 1
        cause, times = (
            cause_of(self.trials, record, self.logs.get(record.number, 0)),
            f", {record.failures} times" if record.failures > 1 else "",
        )
        why = f"exit code {ended}{times}: {cause or 'its log does not say why'}"
        if is_final(ended, cause) or record.failures > self.sweep.running.retries:
            self._fail(record, why, cause)
        else:
            self._rest(record, why, cause)

    def _rest(self, record: Record, why: str, cause: str) -> None:
        pause = self.sweep.running.pause
        log = log_of(self.trials, record)
        self._say_why(record, f"{why} ({log}): starting it again in {pause:g} s", cause or why)
        self.resting[record.number] = time.monotonic() + pause
        self._to(record, "waiting")

    def _fail(self, record: Record, why: str, cause: str = "") -> None:
        self._say_why(record, f"failed, {why} ({log_of(self.trials, record)})", cause or why)
        record.cause, self.failed = cause, True
        record.error = f"{why}\n{last_lines(folder_of(self.trials, record.number))}".strip()
        self._to(record, "failed")

    def _say_why(self, record: Record, line: str, cause: str) -> None:
        """Say why a trial failed, unless that was said last."""
        if not are_one([cause, self.said]):
            say(f"trial {record.number:04d}: {line}")
            self.said = cause

    def _to(self, record: Record, state: str) -> None:
        record.state = state  # type: ignore[assignment]
        record.save(self.trials)
        self.changed(record)

    def _job(self, record: Record) -> Job:
        folder = folder_of(self.trials, record.number)
        return Job(folder / OWN, self.commands(folder), record.job)

    def _course(self, record: Record) -> Course:
        return Course(self.sweep, folder_of(self.trials, record.number))
