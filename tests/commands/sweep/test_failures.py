"""Trials that fail: the cause is printed, refusals are not retried, and a sweep in which all trials fail ends."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from seglight.commands.sweep.failures import failure_cause, failure_summary, log_path, same_cause
from seglight.commands.sweep.record import Record
from seglight.training.resume.lock import in_use
from tests.support.small_sweeps import coordinator, lines, small_sweep

TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 3, in f
    raise torch.OutOfMemoryError
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
"""


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("seglight: a hint\nseglight: error: a.png: damaged\nlibpng: bye\n", "a.png: damaged"),
        (TRACEBACK, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."),
        ("KeyError: 'x'\n\n", "KeyError: 'x'"),
        ("slurmstepd: error: Detected 1 oom_kill event\n", "slurmstepd: error: Detected 1 oom_kill event"),
        ("seglight: error: \x1b[31m\x07red\u202e\n", r"\x1b[31m\x07red\u202e"),
        ("seglight: error: " + "x" * 999, "x" * 300 + "..."),
        ("", ""),
    ],
)
def test_the_cause_is_a_line_of_the_log(tmp_path: Path, log: str, cause: str) -> None:
    record = Record(0, {}, {}, {})
    assert failure_cause(tmp_path, record, 0) == ""
    path = log_path(tmp_path, record)
    path.parent.mkdir(parents=True)
    path.write_text("seglight: error: of an earlier start\n" + log)
    assert failure_cause(tmp_path, record, len("seglight: error: of an earlier start\n")) == cause


def test_causes_that_differ_only_in_numbers_are_the_same() -> None:
    assert same_cause(["/out/trials/0001/x: lr -0.25", "/out/trials/0002/x: lr -0.5"])
    assert not same_cause(["a.png: damaged", "b.png: damaged"])
    assert not same_cause(["", ""])


def failing(tmp_path: Path, trials: int = 9, running: dict[str, Any] | None = None, **recipe: Any) -> Any:
    return coordinator(tmp_path, small_sweep(trials=trials, running=running), fails=99, **recipe)


def test_refusals_are_not_retried_and_the_third_ends_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failing(tmp_path, running={"pause": 60.0}, code=2, message="seglight: error: no data in /nowhere")
    assert run.run() == 2
    assert [record.state for record in run.records] == ["failed"] * 3
    assert [lines(tmp_path / "trials" / f"000{number}" / "starts") for number in range(3)] == [[0]] * 3
    log = tmp_path / "trials" / "0000" / "trial" / "log.txt"
    line = f"seglight: trial 0000: failed, exit code 2: no data in /nowhere ({log})\n"
    assert capsys.readouterr().err == line, "once, with the path"
    assert run.records[2].error.splitlines()[0] == "exit code 2: no data in /nowhere"
    assert failure_summary(tmp_path / "trials", run.records) == [
        f"failed      0000, 0001, 0002: exit code 2: no data in /nowhere ({log})"
    ]


def test_a_resumed_sweep_tries_one_more_trial(tmp_path: Path) -> None:
    """The mistake may have been fixed; if not, one more trial shows it."""
    assert failing(tmp_path, code=2).run() == 2
    again = failing(tmp_path, code=2)
    assert again.run() == 2
    assert [record.state for record in again.records] == ["failed"] * 4
    fixed = coordinator(tmp_path, small_sweep(trials=6))
    assert fixed.run() == 0
    assert [record.state for record in fixed.records] == ["failed"] * 4 + ["finished"] * 2


def test_other_failures_are_retried_before_they_end_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failing(tmp_path, running={"retries": 1, "pause": 0.1})
    assert run.run() == 2
    assert [record.failures for record in run.records] == [2, 2, 2]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "trial 0000: exit code 1: boom (" in err
    assert "it is resumed in 0.1 s" in err


@pytest.mark.parametrize(
    "message",
    [
        f"/x: {os.strerror(errno.ENOSPC)}: free some space",
        f"/x: {os.strerror(errno.EDQUOT)}: free some space",
        str(in_use(Path("/x"), "`python -m seglight fit` (pid 7 on a)", "--run_dir")),
    ],
    ids=["disk", "quota", "lock"],
)
def test_temporary_failures_are_retried(tmp_path: Path, message: str) -> None:
    """A full disk and a locked folder have the exit code of a user's mistake."""
    run = coordinator(tmp_path, small_sweep(trials=1), fails=2, code=2, message=f"seglight: error: {message}")
    assert run.run() == 0
    assert (run.records[0].state, run.records[0].failures) == ("finished", 2)


def test_the_sweep_continues_if_another_trial_has_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = coordinator(tmp_path, small_sweep(trials=1))
    assert first.run() == 0
    capsys.readouterr()
    run = failing(tmp_path, trials=6, code=2, message="ValueError: x is not y")
    assert run.run() == 0
    assert [record.state for record in run.records] == ["finished"] + ["failed"] * 5
    assert capsys.readouterr().err.count("\n") == 1


def test_each_new_cause_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with a space of which only a part is wrong."""
    run = coordinator(tmp_path, small_sweep(trials=4))
    run.recipe = lambda record: json.dumps({"fails": 99, "code": 2, "message": "abba"[record.number]})
    assert run.run() == 0, "the causes differ"
    printed = [line.split("exit code 2: ")[1][0] for line in capsys.readouterr().err.splitlines()]
    assert printed == ["a", "b", "a"]


def test_trainings_without_a_score_fail_for_the_same_cause(tmp_path: Path) -> None:
    run = coordinator(tmp_path, small_sweep(trials=5, objectives={"val/nothing": "maximize"}))
    assert run.run() == 2
    assert [record.state for record in run.records] == ["failed"] * 3
    assert run.records[0].cause.startswith("it ended without val/nothing")
