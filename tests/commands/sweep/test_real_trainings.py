"""Sweeps of real trainings are reproducible, also if coordinator and trials are killed at random moments."""

import json
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
import torch

from seglight.commands.sweep.record import JOB_FOLDER, read_records, trial_folder
from seglight.commands.sweep.study import best_records
from tests.support.forked_sweeps import STARTS, _forks, real_coordinator, real_sweep, trains  # noqa: F401
from tests.support.resumable import differences, final, leaves
from tests.support.small_sweeps import lines, outcome, startups

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_forks")]

KILLS, TRIALS = 10, 4


def assert_same_trainings(one: Path, other: Path, trials: list[int]) -> None:
    """Compare weights, optimizer, random states, scores and logged values to the last bit; no epoch is logged twice."""
    for number in trials:
        first, second = (final(trial_folder(out / "trials", number)) for out in (one, other))
        assert differences(first, second) == [], number


def assert_cleaned(one: Path, other: Path, best: int) -> None:
    """The best trial has the weights of an undisturbed sweep, the others have none, and all have their logs."""
    for number in range(TRIALS):
        first, second = (trial_folder(out / "trials", number) for out in (one, other))
        for name in ("metrics.jsonl", "scores.json"):
            assert (first / name).read_text() == (second / name).read_text(), number
        assert (first / "checkpoints").exists() == (number == best)
        if number == best:
            weights = [torch.load(run / "checkpoints" / "best.ckpt", weights_only=True) for run in (first, second)]
            assert weights[0].keys() < weights[1].keys()
            tensors = [dict(leaves(content["state_dict"])) for content in weights]
            assert differences(*tensors) == []


def last_step(run: Path) -> int:
    """Last step that a training has logged."""
    path = run / "metrics.jsonl"
    logged = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(logged[-1])["step"]) if logged else 0


def written(out: Path) -> int:
    """Size of the files that the trials of a sweep write while they train."""
    names = ("config.yaml", "metrics.jsonl", f"{JOB_FOLDER}/state.json", f"{JOB_FOLDER}/{STARTS}")
    return sum(path.stat().st_size for name in names for path in out.glob(f"trials/*/{name}"))


def kill_a_training(trials: Path, moments: random.Random) -> tuple[int, int] | None:
    """Kill a training that is alive, or all processes of its trial; returns number and step, or None if none is alive.

    The processes are suspended first, so that it is certain whether the training was alive when it was killed.
    """
    alive = [own for own in sorted(trials.glob(f"*/{JOB_FOLDER}")) if (own / "lock").exists() and trains(own)]
    if not alive:
        return None
    own = moments.choice(alive)
    group = int((own / "lock").read_text())
    os.killpg(group, signal.SIGSTOP)
    hit = trains(own)
    if hit and moments.random() < 0.5:
        os.kill(lines(own / STARTS)[-1], signal.SIGKILL)
    elif hit:
        os.killpg(group, signal.SIGKILL)
    os.killpg(group, signal.SIGCONT)
    return (int(own.parent.name), last_step(own.parent)) if hit else None


@pytest.mark.parametrize("removes_checkpoints", [False, True], ids=["all checkpoints", "cleaned"])
def test_a_sweep_killed_at_random_moments_has_the_same_results(tmp_path: Path, removes_checkpoints: bool) -> None:
    """Two slots; trainings are killed at three or more steps, coordinators at three or more stages.

    Each kill of a training causes one more start, a kill of a coordinator none.
    """
    sweep = real_sweep(
        tmp_path, TRIALS, 0.1, {"parallel": 2, "retries": 100}, sampler=lambda seed: optuna.samplers.RandomSampler(seed)
    )
    undisturbed = real_coordinator(tmp_path / "undisturbed", sweep)
    assert undisturbed.run() == 0

    disturbed, moments = tmp_path / "disturbed", random.Random(0)
    hits: list[tuple[int, int]] = []
    stages: list[str] = []

    def start() -> int:
        child = os.fork()
        if not child:
            os._exit(real_coordinator(disturbed, sweep, removes_checkpoints).run())
        return child

    child = start()
    try:
        while len(hits) + len(stages) < KILLS or min(len({step for _, step in hits}), len(set(stages))) < 3:
            before = written(disturbed)
            while written(disturbed) == before:  # or each coordinator would be killed too early
                assert os.waitpid(child, os.WNOHANG) == (0, 0), "the sweep ended before all kills"
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 1.0))
            if moments.random() < 0.5:
                hit = kill_a_training(disturbed / "trials", moments)
                hits += [hit] if hit else []
            else:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                stages.append(str([(record.state, record.reports) for record in read_records(disturbed / "trials")]))
                child = start()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    records = read_records(disturbed / "trials")
    assert outcome(records) == outcome(undisturbed.records)
    assert [record.state for record in records] == ["finished"] * TRIALS
    assert best_records(sweep, records)[0].number == best_records(sweep, undisturbed.records)[0].number
    assert len({str(record.values) for record in records}) == TRIALS, "all scores differ"
    for record in records:
        starts = lines(trial_folder(disturbed / "trials", record.number) / JOB_FOLDER / STARTS)
        assert len(starts) == 1 + [number for number, _ in hits].count(record.number), record.number
    if removes_checkpoints:
        assert_cleaned(disturbed, tmp_path / "undisturbed", best_records(sweep, records)[0].number)
    else:
        assert_same_trainings(disturbed, tmp_path / "undisturbed", list(range(TRIALS)))


def test_a_sweep_with_one_slot_is_reproducible(tmp_path: Path) -> None:
    """With TPE, which learns from the scores, and a pruner: the same trials in the same order with the same scores."""

    def pruner() -> optuna.pruners.BasePruner:
        return optuna.pruners.MedianPruner(n_startup_trials=2)

    sweep = real_sweep(tmp_path, 5, sampler=startups(2), pruner=pruner)
    outs = [tmp_path / "one", tmp_path / "other"]
    found = []
    for out in outs:
        run = real_coordinator(out, sweep)
        assert run.run() == 0
        found.append(outcome(run.records))
    assert found[0] == found[1]
    records = read_records(outs[0] / "trials")
    started = [
        (trial_folder(outs[0] / "trials", record.number) / JOB_FOLDER / STARTS).stat().st_mtime for record in records
    ]
    assert started == sorted(started)
    assert {record.state for record in records} == {"finished", "pruned"}
    assert_same_trainings(*outs, [record.number for record in records if record.state == "finished"])
    other = real_coordinator(tmp_path / "seed", real_sweep(tmp_path, 1, sampler=startups(2), seed=1))
    assert other.run() == 0
    assert other.records[0].params != records[0].params
