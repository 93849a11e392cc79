"""The coordinator with real processes: what it starts, prunes, retries, and how it goes on when killed.

Covers: commands.sweep.latency.
"""

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from seglight.commands.sweep import trial
from seglight.commands.sweep.executors.executor import Job
from seglight.commands.sweep.job import exit_code, is_running
from seglight.commands.sweep.latency import measure_alone
from seglight.commands.sweep.record import OWN, Record, read_records
from seglight.commands.sweep.study import best_records
from tests.support.small_sweeps import FAKE, coordinator, lines, outcome, small_sweep, startups


def test_the_same_trials_in_the_same_order_with_the_same_scores(tmp_path: Path) -> None:
    sweep = small_sweep(trials=5, sampler=startups(2))
    first, second = (coordinator(tmp_path / name, sweep) for name in ("a", "b"))
    assert first.run() == second.run() == 0
    assert outcome(first.records) == outcome(second.records) == outcome(read_records(tmp_path / "a" / "trials"))
    assert len({record.params["x"] for record in first.records}) == 5
    for record in first.records:
        score = 1 - (record.params["x"] - 0.3) ** 2
        assert record.values == pytest.approx([score])
        assert record.reports == pytest.approx([score / 2, score])
    best = min(first.records, key=lambda record: abs(record.params["x"] - 0.3))
    assert best_records(sweep, first.records)[0] is best


def test_a_failure_is_retried_and_then_counted_with_the_end_of_its_log(tmp_path: Path) -> None:
    lucky = coordinator(tmp_path / "lucky", small_sweep(trials=1, running={"retries": 2}), fails=2)
    assert lucky.run() == 0
    assert (lucky.records[0].state, lucky.records[0].failures) == ("finished", 2)
    unlucky = coordinator(tmp_path / "unlucky", small_sweep(trials=1, running={"retries": 1}), fails=2)
    assert unlucky.run() == 2
    assert unlucky.records[0].state == "failed"
    assert unlucky.records[0].error.splitlines()[0] == "exit code 1, 2 times: boom"
    assert unlucky.records[0].error.endswith("boom")


def test_a_trial_that_is_pruned_is_stopped(tmp_path: Path) -> None:
    """Threshold: below 0.3 after the first of 20 epochs, as all are."""

    def pruner() -> optuna.pruners.BasePruner:
        return optuna.pruners.ThresholdPruner(lower=0.3)

    run = coordinator(tmp_path, small_sweep(trials=1, pruner=pruner), epochs=20, seconds=0.2)
    assert run.run() == 0
    (record,) = run.records
    assert (record.state, len(record.reports)) == ("pruned", 1)
    assert exit_code(tmp_path / "trials" / "0000" / OWN) == 75
    assert len(lines(tmp_path / "trials" / "0000" / "epochs")) < 20


def test_the_last_validation_is_not_pruned_at(tmp_path: Path) -> None:
    def pruner() -> optuna.pruners.BasePruner:
        return optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=2)

    run = coordinator(tmp_path, small_sweep(trials=1, pruner=pruner), epochs=2)
    assert run.run() == 0
    assert run.records[0].state == "finished"


def test_told_to_stop_it_stops_its_trials_and_goes_on_later(tmp_path: Path) -> None:
    run = coordinator(tmp_path, small_sweep(trials=1), epochs=10, seconds=0.2)
    child = os.fork()
    if not child:
        run.stop.install()
        os._exit(run.run())
    until(tmp_path / "trials" / "0000" / "epochs")
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    assert not is_running(tmp_path / "trials" / "0000" / OWN)
    assert read_records(tmp_path / "trials")[0].state == "waiting"
    again = coordinator(tmp_path, small_sweep(trials=1), epochs=10)
    assert again.run() == 0
    assert again.records[0].state == "finished"
    assert lines(tmp_path / "trials" / "0000" / "epochs") == list(range(10))


def test_a_trial_outlives_its_coordinator_and_is_not_started_again(tmp_path: Path) -> None:
    sweep = small_sweep(trials=2)
    child = os.fork()
    if not child:
        os._exit(coordinator(tmp_path, sweep, epochs=10, seconds=0.1).run())
    until(tmp_path / "trials" / "0000" / "epochs")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_running(tmp_path / "trials" / "0000" / OWN)
    again = coordinator(tmp_path, sweep, epochs=10)
    assert again.run() == 0
    assert [record.state for record in again.records] == ["finished"] * 2
    assert lines(tmp_path / "trials" / "0000" / "starts") == [0]


def test_killed_at_random_it_comes_to_the_same(tmp_path: Path) -> None:
    """Coordinators and whole trials are killed ten times; the trials stay the same, each is finished once."""
    sweep = small_sweep(trials=6, sampler=startups(2), running={"retries": 100})
    calm = coordinator(tmp_path / "calm", sweep, epochs=3)
    assert calm.run() == 0
    moments, kills = random.Random(0), 0
    while True:
        child = os.fork()
        if not child:
            os._exit(coordinator(tmp_path / "wild", sweep, epochs=3, seconds=0.05).run())
        if kills == 10:
            break
        time.sleep(moments.uniform(0.05, 0.8))
        kills += kill_a_trial(tmp_path / "wild" / "trials") if moments.random() < 0.5 else 0
        os.kill(child, signal.SIGKILL)
        kills += 1
        os.waitpid(child, 0)
        kills = min(kills, 10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    wild = read_records(tmp_path / "wild" / "trials")
    assert outcome(wild) == outcome(calm.records)
    assert best_records(sweep, wild)[0].number == best_records(sweep, calm.records)[0].number


def kill_a_trial(trials: Path) -> int:
    """All processes of one that runs, if one does."""
    for lock in sorted(trials.glob(f"*/{OWN}/lock")):
        if is_running(lock.parent) and lock.read_text():
            os.killpg(int(lock.read_text()), signal.SIGKILL)
            return 1
    return 0


def until(there: Path) -> None:
    end = time.monotonic() + 30
    while not there.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_several_objectives(tmp_path: Path) -> None:
    """Parameters come of `summary`, fewer are better: the front runs from x = 0.3 down to the smallest."""
    sweep = small_sweep(trials=4, objectives={"val/miou": "maximize", "parameters": "minimize"})
    run = coordinator(tmp_path, sweep)
    assert run.run() == 0
    for record in run.records:
        x = record.params["x"]
        assert record.values == pytest.approx([1 - (x - 0.3) ** 2, round(1000 * x)])

    def beaten(one: Record, other: Record) -> bool:
        (miou, size), (better, smaller) = one.values or [], other.values or []
        return better >= miou and smaller <= size and (better, smaller) != (miou, size)

    front = {one.number for one in run.records if not any(beaten(one, other) for other in run.records)}
    assert {record.number for record in best_records(sweep, run.records)} == front


class Vanishing:
    """An executor whose jobs are gone at once; from some time on they log a validation first, and the last one is done.

    Args:
        trials: Where the jobs' folders are.
        logs_from: The number of the first job that logs.
        done_at: The number of the job that is done.
    """

    slots = None

    def __init__(self, trials: Path, logs_from: int, done_at: int) -> None:
        self.run, self.logs_from, self.done_at = trials / "0000", logs_from, done_at
        self.submitted: list[float] = []

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start nothing."""
        self.submitted.append(time.monotonic())
        if len(self.submitted) >= self.logs_from:
            line = {"step": len(self.submitted), "epoch": 0, "val/miou": 0.5}
            with (self.run / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        return ["" for _ in jobs]

    def poll(self, job: Job) -> int | str:
        """Gone, or done."""
        if len(self.submitted) < self.done_at:
            return "gone"
        (self.run / "scores.json").write_text('{"miou": 0.5}')
        return 0

    def cancel(self, job: Job) -> None:
        """Nothing to tell."""

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_job_that_vanishes_again_and_again_is_given_up(tmp_path: Path) -> None:
    executor = Vanishing(tmp_path / "trials", logs_from=99, done_at=99)
    run = coordinator(tmp_path, small_sweep(trials=1, running={"retries": 0, "pause": 0.1}), executor=executor)
    assert run.run() == 0
    assert len(executor.submitted) == 11
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(executor.submitted)), "with pauses"
    assert run.records[0].state == "failed"
    assert "vanished 11 times" in run.records[0].error


def test_one_that_comes_further_each_time_is_not(tmp_path: Path) -> None:
    """On machines that are taken away often, a training goes on from its checkpoints."""
    executor = Vanishing(tmp_path / "trials", logs_from=9, done_at=40)
    run = coordinator(tmp_path, small_sweep(trials=1, running={"retries": 0}), executor=executor, epochs=99)
    assert run.run() == 0
    assert (run.records[0].state, run.records[0].failures) == ("finished", 0)
    assert len(executor.submitted) == 40


def test_latency_is_measured_again_when_nothing_trains(tmp_path: Path) -> None:
    """The stand-in gives a second for each training under way, and one for itself."""
    sweep = small_sweep(trials=3, running={"parallel": 3}, objectives={"val/miou": "maximize", "latency": "minimize"})
    run = coordinator(tmp_path, sweep, seconds=0.1, slower_by=0.3)
    assert run.run() == 0
    assert max(latencies(run.records)) > 1.0, "beside another training"
    scores = [record.values[0] for record in run.records if record.values]

    def measure() -> int:
        options = run.executor, lambda folder: trial.costs_command(folder, FAKE), run.changed, run.stop, 0.05
        return measure_alone(tmp_path / "trials", sweep, run.records, *options)

    assert measure() == 0
    assert latencies(run.records) == latencies(read_records(tmp_path / "trials")) == [1.0] * 3
    assert [record.values[0] for record in run.records if record.values] == scores
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("trials/*/trial/alone/costs.json"))]
    assert measure() == 0
    after = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("trials/*/trial/alone/costs.json"))]
    assert len(before) == 3
    assert before == after, "once"


def latencies(records: Sequence[Record]) -> list[float]:
    return [record.values[1] for record in records if record.values]
