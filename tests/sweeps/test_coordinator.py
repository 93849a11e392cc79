"""The coordinator with real processes: what it starts, prunes, retries, and how it goes on when killed."""

import os
import random
import signal
import time
from pathlib import Path

import optuna
import pytest

from seglight.sweeps.job import exit_code, is_running
from seglight.sweeps.record import OWN, Record, read_records
from seglight.sweeps.study import best_records
from tests.sweeps.small import coordinator, lines, outcome, small_sweep, startups


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
    assert unlucky.run() == 0
    assert unlucky.records[0].state == "failed"
    assert unlucky.records[0].error.startswith("exit code 1, 2 times")
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
