"""The coordinator with real processes: what it starts, prunes and retries, and how it resumes after a kill.

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

from seglight.commands.executors.executor import Job
from seglight.commands.executors.job import exit_code, is_running
from seglight.commands.sweep import trial
from seglight.commands.sweep.latency import measure_latencies
from seglight.commands.sweep.record import JOB_FOLDER, Record, read_records
from seglight.commands.sweep.study import best_records
from tests.support.small_sweeps import FAKE, coordinator, lines, outcome, small_sweep, startups


def test_two_sweeps_have_the_same_trials_in_the_same_order_with_the_same_scores(tmp_path: Path) -> None:
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


def test_a_failure_is_retried_and_then_recorded_with_the_end_of_its_log(tmp_path: Path) -> None:
    lucky = coordinator(tmp_path / "lucky", small_sweep(trials=1, running={"retries": 2}), fails=2)
    assert lucky.run() == 0
    assert (lucky.records[0].state, lucky.records[0].failures) == ("finished", 2)
    unlucky = coordinator(tmp_path / "unlucky", small_sweep(trials=1, running={"retries": 1}), fails=2)
    assert unlucky.run() == 2
    assert unlucky.records[0].state == "failed"
    assert unlucky.records[0].error.splitlines()[0] == "exit code 1, 2 times: boom"
    assert unlucky.records[0].error.endswith("boom")


def test_a_pruned_trial_is_stopped(tmp_path: Path) -> None:
    """The threshold of 0.3 prunes it after the first of 20 epochs, as no score reaches that so early."""

    def pruner() -> optuna.pruners.BasePruner:
        return optuna.pruners.ThresholdPruner(lower=0.3)

    run = coordinator(tmp_path, small_sweep(trials=1, pruner=pruner), epochs=20, seconds=0.2)
    assert run.run() == 0
    (record,) = run.records
    assert (record.state, len(record.reports)) == ("pruned", 1)
    assert exit_code(tmp_path / "trials" / "0000" / JOB_FOLDER) == 75
    assert len(lines(tmp_path / "trials" / "0000" / "epochs")) < 20


def test_a_trial_is_not_pruned_at_its_last_validation(tmp_path: Path) -> None:
    def pruner() -> optuna.pruners.BasePruner:
        return optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=2)

    run = coordinator(tmp_path, small_sweep(trials=1, pruner=pruner), epochs=2)
    assert run.run() == 0
    assert run.records[0].state == "finished"


@pytest.mark.slow
def test_a_signal_stops_the_trials_and_they_resume_later(tmp_path: Path) -> None:
    run = coordinator(tmp_path, small_sweep(trials=1), epochs=10, seconds=0.2)
    child = os.fork()
    if not child:
        run.stop.install()
        os._exit(run.run())
    wait_until_exists(tmp_path / "trials" / "0000" / "epochs")
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    assert not is_running(tmp_path / "trials" / "0000" / JOB_FOLDER)
    assert read_records(tmp_path / "trials")[0].state == "waiting"
    again = coordinator(tmp_path, small_sweep(trials=1), epochs=10)
    assert again.run() == 0
    assert again.records[0].state == "finished"
    assert lines(tmp_path / "trials" / "0000" / "epochs") == list(range(10))


def test_a_trial_continues_after_its_coordinator_was_killed_and_is_not_started_again(tmp_path: Path) -> None:
    sweep = small_sweep(trials=2)
    child = os.fork()
    if not child:
        os._exit(coordinator(tmp_path, sweep, epochs=10, seconds=0.1).run())
    wait_until_exists(tmp_path / "trials" / "0000" / "epochs")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_running(tmp_path / "trials" / "0000" / JOB_FOLDER)
    again = coordinator(tmp_path, sweep, epochs=10)
    assert again.run() == 0
    assert [record.state for record in again.records] == ["finished"] * 2
    assert lines(tmp_path / "trials" / "0000" / "starts") == [0]


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_has_the_same_results(tmp_path: Path) -> None:
    """Coordinators and trials are killed ten times; the trials stay the same, and each is finished once."""
    sweep = small_sweep(trials=6, sampler=startups(2), running={"retries": 100})
    undisturbed = coordinator(tmp_path / "undisturbed", sweep, epochs=3)
    assert undisturbed.run() == 0
    moments, kills = random.Random(0), 0
    while True:
        child = os.fork()
        if not child:
            os._exit(coordinator(tmp_path / "disturbed", sweep, epochs=3, seconds=0.05).run())
        if kills == 10:
            break
        time.sleep(moments.uniform(0.05, 0.8))
        kills += kill_a_trial(tmp_path / "disturbed" / "trials") if moments.random() < 0.5 else 0
        os.kill(child, signal.SIGKILL)
        kills += 1
        os.waitpid(child, 0)
        kills = min(kills, 10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    disturbed = read_records(tmp_path / "disturbed" / "trials")
    assert outcome(disturbed) == outcome(undisturbed.records)
    assert best_records(sweep, disturbed)[0].number == best_records(sweep, undisturbed.records)[0].number


def kill_a_trial(trials: Path) -> int:
    """Kill all processes of a trial that runs; returns the number of trials that were killed, 0 or 1."""
    for lock in sorted(trials.glob(f"*/{JOB_FOLDER}/lock")):
        if is_running(lock.parent) and lock.read_text():
            os.killpg(int(lock.read_text()), signal.SIGKILL)
            return 1
    return 0


def wait_until_exists(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_several_objectives(tmp_path: Path) -> None:
    """`summary` counts the parameters, fewer are better: the front lies between x = 0.3 and the smallest x."""
    sweep = small_sweep(trials=4, objectives={"val/miou": "maximize", "parameters": "minimize"})
    run = coordinator(tmp_path, sweep)
    assert run.run() == 0
    for record in run.records:
        x = record.params["x"]
        assert record.values == pytest.approx([1 - (x - 0.3) ** 2, round(1000 * x)])

    def dominated(one: Record, other: Record) -> bool:
        (miou, size), (better, smaller) = one.values or [], other.values or []
        return better >= miou and smaller <= size and (better, smaller) != (miou, size)

    front = {one.number for one in run.records if not any(dominated(one, other) for other in run.records)}
    assert {record.number for record in best_records(sweep, run.records)} == front


class Vanishing:
    """Executor whose jobs vanish at once; from some job on they log a validation first, and the last one ends with 0.

    Args:
        trials: Folder of the trials.
        logs_from: Number of the first job that logs.
        done_at: Number of the job that ends with 0.
    """

    slots = None

    def __init__(self, trials: Path, logs_from: int, done_at: int) -> None:
        self.run = trials / "0000"
        self.logs_from = logs_from
        self.done_at = done_at
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
        """GONE, or 0 for the last job."""
        if len(self.submitted) < self.done_at:
            return "gone"
        (self.run / "scores.json").write_text('{"miou": 0.5}')
        return 0

    def cancel(self, job: Job) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_a_trial_fails_if_its_job_vanishes_too_often(tmp_path: Path) -> None:
    executor = Vanishing(tmp_path / "trials", logs_from=99, done_at=99)
    run = coordinator(tmp_path, small_sweep(trials=1, running={"retries": 0, "pause": 0.1}), executor=executor)
    assert run.run() == 0
    assert len(executor.submitted) == 11
    pauses = [later - earlier for earlier, later in itertools.pairwise(executor.submitted)]
    assert min(pauses) >= 0.1
    assert run.records[0].state == "failed"
    assert "vanished 11 times" in run.records[0].error


def test_a_trial_that_makes_progress_may_vanish_any_number_of_times(tmp_path: Path) -> None:
    """On machines that are preempted often, a training still progresses from checkpoint to checkpoint."""
    executor = Vanishing(tmp_path / "trials", logs_from=9, done_at=40)
    run = coordinator(tmp_path, small_sweep(trials=1, running={"retries": 0}), executor=executor, epochs=99)
    assert run.run() == 0
    assert (run.records[0].state, run.records[0].failures) == ("finished", 0)
    assert len(executor.submitted) == 40


def test_latencies_are_measured_again_after_all_trainings(tmp_path: Path) -> None:
    """The stand-in reports one second, and one more for each training that runs at the same time."""
    sweep = small_sweep(trials=3, running={"parallel": 3}, objectives={"val/miou": "maximize", "latency": "minimize"})
    run = coordinator(tmp_path, sweep, seconds=0.1, slower_by=0.3)
    assert run.run() == 0
    assert max(latencies(run.records)) > 1.0, "measured while another trial trains"
    scores = [record.values[0] for record in run.records if record.values]

    def measure() -> int:
        options = run.executor, lambda folder: trial.costs_command(folder, FAKE), run.changed, run.stop, 0.05
        return measure_latencies(tmp_path / "trials", sweep, run.records, *options)

    assert measure() == 0
    assert latencies(run.records) == latencies(read_records(tmp_path / "trials")) == [1.0] * 3
    assert [record.values[0] for record in run.records if record.values] == scores
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("trials/*/trial/alone/costs.json"))]
    assert measure() == 0
    after = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("trials/*/trial/alone/costs.json"))]
    assert len(before) == 3
    assert before == after, "no trial is measured twice"


def latencies(records: Sequence[Record]) -> list[float]:
    return [record.values[1] for record in records if record.values]
