"""Sweeps of real trainings: reproducible, and the same when coordinator and trials are killed at random moments."""

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

from seglight.commands.sweep.record import OWN, folder_of, read_records
from seglight.commands.sweep.study import best_records
from tests.support.forked_sweeps import STARTS, _forks, real_coordinator, real_sweep, trains  # noqa: F401
from tests.support.resumable import differences, final, leaves
from tests.support.small_sweeps import lines, outcome, startups

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_forks")]

KILLS, TRIALS = 10, 4


def assert_same_trainings(one: Path, other: Path, trials: list[int]) -> None:
    """To the last bit: weights, optimizer, random states, scores, and what was logged, no epoch twice."""
    for number in trials:
        first, second = (final(folder_of(out / "trials", number)) for out in (one, other))
        assert differences(first, second) == [], number


def assert_tidied(one: Path, other: Path, best: int) -> None:
    """The best has the weights of a sweep that nobody touched, the others none, and all have what they logged."""
    for number in range(TRIALS):
        first, second = (folder_of(out / "trials", number) for out in (one, other))
        for name in ("metrics.jsonl", "scores.json"):
            assert (first / name).read_text() == (second / name).read_text(), number
        assert (first / "checkpoints").exists() == (number == best)
        if number == best:
            weights = [torch.load(run / "checkpoints" / "best.ckpt", weights_only=True) for run in (first, second)]
            assert weights[0].keys() < weights[1].keys()
            tensors = [dict(leaves(content["state_dict"])) for content in weights]
            assert differences(*tensors) == []


def last_step(run: Path) -> int:
    """That a training has logged."""
    path = run / "metrics.jsonl"
    logged = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(logged[-1])["step"]) if logged else 0


def written(out: Path) -> int:
    """Bytes in what a sweep's trials leave as they go on."""
    names = ("config.yaml", "metrics.jsonl", f"{OWN}/state.json", f"{OWN}/{STARTS}")
    return sum(path.stat().st_size for name in names for path in out.glob(f"trials/*/{name}"))


def kill_a_training(trials: Path, moments: random.Random) -> tuple[int, int] | None:
    """One that lives, alone or with all of its trial; gives number and step, or None where none lives.

    All is held still first: whether it lived when it was killed is then no matter of luck.
    """
    living = [own for own in sorted(trials.glob(f"*/{OWN}")) if (own / "lock").exists() and trains(own)]
    if not living:
        return None
    own = moments.choice(living)
    group = int((own / "lock").read_text())
    os.killpg(group, signal.SIGSTOP)
    hit = trains(own)
    if hit and moments.random() < 0.5:
        os.kill(lines(own / STARTS)[-1], signal.SIGKILL)
    elif hit:
        os.killpg(group, signal.SIGKILL)
    os.killpg(group, signal.SIGCONT)
    return (int(own.parent.name), last_step(own.parent)) if hit else None


@pytest.mark.parametrize("tidies", [False, True], ids=["all checkpoints", "tidied"])
def test_killed_at_random_moments_it_is_the_same_sweep(tmp_path: Path, tidies: bool) -> None:
    """Two slots; trainings die at three steps at least, coordinators at three stages.

    A kill of a training costs one start more, and none of a coordinator does.
    """
    sweep = real_sweep(
        tmp_path, TRIALS, 0.1, {"parallel": 2, "retries": 100}, sampler=lambda seed: optuna.samplers.RandomSampler(seed)
    )
    calm = real_coordinator(tmp_path / "calm", sweep)
    assert calm.run() == 0

    wild, moments = tmp_path / "wild", random.Random(0)
    struck: list[tuple[int, int]] = []
    stages: list[str] = []

    def go_on() -> int:
        child = os.fork()
        if not child:
            os._exit(real_coordinator(wild, sweep, tidies).run())
        return child

    child = go_on()
    try:
        while len(struck) + len(stages) < KILLS or min(len({step for _, step in struck}), len(set(stages))) < 3:
            before = written(wild)
            while written(wild) == before:  # else, on a slow machine, no coordinator would live to do anything
                assert os.waitpid(child, os.WNOHANG) == (0, 0), "the sweep ended before all blows had fallen"
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 1.0))
            if moments.random() < 0.5:
                hit = kill_a_training(wild / "trials", moments)
                struck += [hit] if hit else []
            else:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                stages.append(str([(record.state, record.reports) for record in read_records(wild / "trials")]))
                child = go_on()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    records = read_records(wild / "trials")
    assert outcome(records) == outcome(calm.records)
    assert [record.state for record in records] == ["finished"] * TRIALS
    assert best_records(sweep, records)[0].number == best_records(sweep, calm.records)[0].number
    assert len({str(record.values) for record in records}) == TRIALS, "scores that tell trials apart"
    for record in records:
        starts = lines(folder_of(wild / "trials", record.number) / OWN / STARTS)
        assert len(starts) == 1 + [number for number, _ in struck].count(record.number), record.number
    if tidies:
        assert_tidied(wild, tmp_path / "calm", best_records(sweep, records)[0].number)
    else:
        assert_same_trainings(wild, tmp_path / "calm", list(range(TRIALS)))


def test_one_slot_and_a_seed_make_a_sweep_reproducible(tmp_path: Path) -> None:
    """Parzen trees that learn from the scores, and a pruner: the same trials in the same order with the same scores."""

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
    begun = [(folder_of(outs[0] / "trials", record.number) / OWN / STARTS).stat().st_mtime for record in records]
    assert begun == sorted(begun)
    assert {record.state for record in records} == {"finished", "pruned"}
    assert_same_trainings(*outs, [record.number for record in records if record.state == "finished"])
    other = real_coordinator(tmp_path / "seed", real_sweep(tmp_path, 1, sampler=startups(2), seed=1))
    assert other.run() == 0
    assert other.records[0].params != records[0].params
