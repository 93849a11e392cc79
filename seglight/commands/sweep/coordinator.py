"""Coordinator of a sweep: proposes candidates, starts their trials, prunes them, and decides how they ended.

It is the only process that writes the records of the trials. Each record is written before the step that it describes,
so that the coordinator may be killed between any two lines: another one reads the records and continues.
"""

import time
from collections.abc import Callable
from pathlib import Path

from seglight.commands.executors.endings import (
    MAX_VANISHED,
    PREEMPTED,
    REPEAT,
    USER_ERROR,
    described,
    is_final,
    log_size,
)
from seglight.commands.executors.executor import CANCELLED, GONE, Executor, Job
from seglight.commands.executors.job import EXIT, STOP, Command
from seglight.commands.sweep.failures import failure_cause, log_path, same_cause
from seglight.commands.sweep.learning_curve import LearningCurve
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.record import JOB_FOLDER, Record, State, job_file, read_records, trial_folder
from seglight.commands.sweep.study import new_record, should_prune
from seglight.commands.sweep.trial import last_lines, objective_values
from seglight.errors import say
from seglight.system.atomic import atomic_write
from seglight.system.run_files import RECIPE_FILE
from seglight.system.signals import EXIT_CODE, StopSignals

SAME_FAILURES = 3
"""Number of trials that fail for the same cause, while no other trial succeeds, after which no more are started."""


class Coordinator:
    """Runs a sweep to its end.

    Args:
        trials: Folder of the trials; existing trials are resumed.
        sweep: Description of the sweep.
        executor: Executor that runs the trials.
        recipe: Function that gives the text of `config.yaml` for a record.
        commands: Function that gives the commands that train the trial in a folder.
        changed: Function that is called with a record after each change.
        stop: Signals that end this process, after which the trials are asked to stop too.
        interval: Seconds between two polls of the trials.
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
        interval: float = 1.0,
    ) -> None:
        self.trials = trials
        self.sweep = sweep
        self.executor = executor
        self.recipe = recipe
        self.commands = commands
        self.changed = changed
        self.stop = stop
        self.interval = interval
        self.records = read_records(trials)
        self.learning_curves = [self._learning_curve(record) for record in self.records]
        self.retry_at: dict[int, float] = {}
        """Time at which a trial that failed or vanished may be resumed."""
        self.cancelled_at: dict[int, float] = {}
        """Time at which a trial was last asked to stop."""
        self.log_starts: dict[int, int] = {}
        """Size of a trial's log when this process last started the trial."""
        self.last_cause = ""
        """Cause of a failure that was printed last."""
        self.failed = False
        """Whether a trial has failed since this process started: the cause of earlier failures may be fixed."""
        hours = sweep.running.hours
        self.deadline = float("inf") if hours is None else time.monotonic() + 3600 * hours

    def run(self) -> int:
        """Run until all trials are done.

        Returns:
            0; 75 if a signal came before; 2 if all trials fail for the same cause.
        """
        announced = False
        while True:
            if self.stop.received is not None and not announced:
                say("stopping: the trials save their state and stop")
                announced = True
            for record in self.open():
                self._update(record)
            if self.stop.received is None and not self.all_fail:
                self._start()
            if not any(record.state in ("running", "stopping") for record in self.records):
                if self.stop.received is not None:
                    return EXIT_CODE
                if self.all_fail:
                    return USER_ERROR
                if not self.open():
                    return 0
            time.sleep(self.interval)

    @property
    def all_fail(self) -> bool:
        """Whether trials fail for the same cause, one of them now, and none has reached a validation."""
        failed = [record.cause for record in self.records if record.state == "failed"]
        succeeded = any(record.reports or record.state in ("finished", "pruned") for record in self.records)
        enough = self.failed and len(failed) >= min(SAME_FAILURES, self.sweep.trials)
        return enough and not succeeded and same_cause(failed)

    def open(self) -> list[Record]:
        """Records of the trials that are not done."""
        return [record for record in self.records if not record.done]

    def _start(self) -> None:
        """Fill the slots, first with trials that are to be resumed, then with new ones.

        A trial that waits after a failure keeps its slot: the next proposal may depend on it.
        """
        limits = (self.sweep.running.parallel, self.executor.slots)
        slots = min(limit for limit in limits if limit is not None)
        while len(self.open()) < slots and len(self.records) < self.sweep.trials and time.monotonic() < self.deadline:
            self._propose()
        now = time.monotonic()
        waiting = [record for record in self.open() if record.state == "waiting"]
        due = [record for record in waiting if now >= self.retry_at.get(record.number, 0.0)]
        due = due[: max(0, slots - sum(record.state in ("running", "stopping") for record in self.records))]
        if not due:
            return
        for record in due:
            for file in (EXIT, STOP):
                job_file(self.trials, record.number, file).unlink(missing_ok=True)
            self.log_starts[record.number] = log_size(log_path(self.trials, record))
            self._set_state(record, "running")
        names = self.executor.submit([self._job(record) for record in due])
        for record, name in zip(due, names, strict=True):
            record.job = name
            record.save(self.trials)

    def _propose(self) -> None:
        record = new_record(self.sweep, self.records)
        atomic_write(trial_folder(self.trials, record.number) / RECIPE_FILE, self.recipe(record))
        record.save(self.trials)  # from now on the trial exists
        self.records.append(record)
        self.learning_curves.append(self._learning_curve(record))

    def _update(self, record: Record) -> None:
        """Read the reports of a trial that runs, and handle its end."""
        if record.state == "waiting":
            return
        ended = self.executor.poll(self._job(record))
        if record.state == "running":
            self._read_reports(record)
        if ended is not None:
            self._handle_end(record, ended)
        elif record.state == "stopping" or self.stop.received is not None:
            self._cancel(record)

    def _read_reports(self, record: Record) -> None:
        """Add new reports one by one, and prune the trial at the first one at which the pruner decides so."""
        curve = self.learning_curves[record.number]
        for report in curve.reports()[len(record.reports) :]:
            record.reports.append(report.value)
            record.vanished = 0
            several = len(self.sweep.objectives) > 1
            if several or not curve.continues_after(report):
                self._set_state(record, "running")
            elif should_prune(self.sweep, self.records, record.number):
                self._set_state(record, "stopping")
                return
            else:
                self._set_state(record, "running")

    def _cancel(self, record: Record) -> None:
        if time.monotonic() - self.cancelled_at.get(record.number, float("-inf")) >= REPEAT:
            self.executor.cancel(self._job(record))
            self.cancelled_at[record.number] = time.monotonic()

    def _handle_end(self, record: Record, ended: int | str) -> None:
        """Set the state of a trial that has ended; one that was to be pruned is pruned, however it ended."""
        self.cancelled_at.pop(record.number, None)
        if record.state == "stopping":
            self._set_state(record, "pruned")
        elif ended == 0:
            self._finish(record)
        elif ended == CANCELLED and self.stop.received is None:
            self._fail(record, "cancelled by hand")
        elif ended in PREEMPTED or self.stop.received is not None:
            self._set_state(record, "waiting")
        elif ended == GONE:
            self._handle_vanished(record)
        else:
            self._handle_error(record, ended)

    def _finish(self, record: Record) -> None:
        found = objective_values(self.sweep, trial_folder(self.trials, record.number))
        if isinstance(found, str):
            self._fail(record, found, found)
        else:
            record.values = found
            self._set_state(record, "finished")

    def _handle_vanished(self, record: Record) -> None:
        record.vanished += 1
        if record.vanished > MAX_VANISHED:
            self._fail(record, f"its job vanished {record.vanished} times without a validation in between")
        else:
            self._retry_later(record, "its job vanished", "")

    def _handle_error(self, record: Record, ended: int | str) -> None:
        record.failures += 1
        cause = failure_cause(self.trials, record, self.log_starts.get(record.number, 0))
        times = f", {record.failures} times" if record.failures > 1 else ""
        reason = f"{described(ended)}{times}: {cause or 'its log gives no cause'}"
        if is_final(ended, cause) or record.failures > self.sweep.running.retries:
            self._fail(record, reason, cause)
        else:
            self._retry_later(record, reason, cause)

    def _retry_later(self, record: Record, reason: str, cause: str) -> None:
        pause = self.sweep.running.pause
        log = log_path(self.trials, record)
        self._print_reason(record, f"{reason} ({log}): it is resumed in {pause:g} s", cause or reason)
        self.retry_at[record.number] = time.monotonic() + pause
        self._set_state(record, "waiting")

    def _fail(self, record: Record, reason: str, cause: str = "") -> None:
        self._print_reason(record, f"failed, {reason} ({log_path(self.trials, record)})", cause or reason)
        record.cause = cause
        record.error = f"{reason}\n{last_lines(trial_folder(self.trials, record.number))}".strip()
        self.failed = True
        self._set_state(record, "failed")

    def _print_reason(self, record: Record, line: str, cause: str) -> None:
        """Print why a trial failed, unless the same cause was printed last."""
        if not same_cause([cause, self.last_cause]):
            say(f"trial {record.number:04d}: {line}")
            self.last_cause = cause

    def _set_state(self, record: Record, state: State) -> None:
        record.state = state
        record.save(self.trials)
        self.changed(record)

    def _job(self, record: Record) -> Job:
        folder = trial_folder(self.trials, record.number)
        return Job(folder / JOB_FOLDER, self.commands(folder), record.job)

    def _learning_curve(self, record: Record) -> LearningCurve:
        return LearningCurve(self.sweep, trial_folder(self.trials, record.number))
