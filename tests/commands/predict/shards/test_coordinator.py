"""What the coordinator does with jobs that end in all possible ways."""

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from seglight.commands.executors.executor import CANCELLED, GONE, Job
from seglight.commands.predict.request import Outcome
from seglight.commands.predict.shards.coordinator import Coordinator
from seglight.commands.predict.shards.shard import JOB, Shard, read_job, write_outcome, write_progress
from seglight.system.signals import StopSignals

DONE = Outcome(["a"], 1, 1, [], [], [])

End = int | str | None


class Scripted:
    """Jobs that end as a script says; with 0, they write their outcome.

    Args:
        ends: For each shard, what its polls give; the last entry is that of all later polls.
        passed: For each shard, the images that it has passed at each poll.
    """

    slots: int | None = None

    def __init__(self, ends: Sequence[Sequence[End]], passed: Sequence[Sequence[float]] = ()) -> None:
        self.ends = [list(each) for each in ends]
        self.passed = [list(each) for each in passed]
        self.started: list[int] = []
        self.together: list[int] = []
        self.cancelled: list[int] = []
        self.running = 0
        self.most = 0

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        self.together.append(len(jobs))
        self.started += [int(job.folder.name) for job in jobs]
        self.running += len(jobs)
        self.most = max(self.most, self.running)
        return [f"job {job.folder.name}" for job in jobs]

    def poll(self, job: Job) -> End:
        number = int(job.folder.name)
        assert job.name == f"job {job.folder.name}"
        assert read_job(job.folder) == ("scripted", job.name)
        if self.passed and self.passed[number]:
            write_progress(job.folder, self.passed[number].pop(0), 0)
        ends = self.ends[number]
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        if end == 0:
            write_outcome(job.folder, DONE)
        self.running -= end is not None
        return end

    def cancel(self, job: Job) -> None:
        number = int(job.folder.name)
        self.cancelled.append(number)
        self.ends[number] = [75]

    def close(self) -> None:
        pass


def shards(folder: Path, count: int) -> list[Shard]:
    made = [Shard(number, folder / f"{number:04d}", 9, []) for number in range(count)]
    for shard in made:
        shard.folder.mkdir()
    return made


def run(
    folder: Path,
    ends: Sequence[Sequence[End]],
    passed: Sequence[Sequence[float]] = (),
    parallel: int = 9,
    stop: StopSignals | None = None,
) -> tuple[list[Shard], Scripted, Coordinator]:
    executor = Scripted(ends, passed)
    own = shards(folder, len(ends))
    coordinator = Coordinator(
        own, executor, "scripted", lambda shard: None, stop or StopSignals(), parallel, interval=0.0, pause=0.0
    )
    coordinator.run()
    return own, executor, coordinator


def test_all_start_together_and_finish(tmp_path: Path) -> None:
    own, executor, _ = run(tmp_path, [[None, 0], [None, None, 0], [0]])
    assert [shard.state for shard in own] == ["finished"] * 3
    assert executor.together == [3]
    assert not list(tmp_path.glob(f"*/{JOB}")), "no job is left to be taken over"


def test_no_more_than_asked_for_run_at_once(tmp_path: Path) -> None:
    own, executor, _ = run(tmp_path, [[None, 0]] * 5, parallel=2)
    assert [shard.state for shard in own] == ["finished"] * 5
    assert executor.most == 2


def test_a_lost_job_is_started_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, executor, _ = run(tmp_path, [[None, 0], [None, GONE, None, 0]])
    assert [(shard.state, shard.starts) for shard in own] == [("finished", 1), ("finished", 2)]
    assert executor.started == [0, 1, 1]
    log = tmp_path / "0001" / "log.txt"
    assert f"shard 0001: its job vanished ({log}): it is started again in 0 s" in capsys.readouterr().err


def test_a_job_that_has_ended_without_its_outcome_is_lost(tmp_path: Path) -> None:
    executor = Scripted([[None]])
    own = shards(tmp_path, 1)
    polls = iter([0, 0])  # of a job that was started twice, say, and found the lock of the other

    def poll(job: Job) -> End:
        end = next(polls, None)
        if end is None:
            write_outcome(job.folder, DONE)
        return 0

    executor.poll = poll  # type: ignore[method-assign]
    Coordinator(own, executor, "scripted", lambda _: None, StopSignals(), 1, interval=0.0, pause=0.0).run()
    assert (own[0].state, own[0].starts) == ("finished", 3)


@pytest.mark.parametrize("code", [75, -signal.SIGTERM, 128 + signal.SIGUSR1])
def test_a_preempted_job_is_started_again_without_end(tmp_path: Path, code: int) -> None:
    own, _, _ = run(tmp_path, [[code] * 20 + [0]])
    assert (own[0].state, own[0].starts) == ("finished", 21)


def test_a_job_that_fails_without_getting_further_is_given_up(tmp_path: Path) -> None:
    own, executor, _ = run(tmp_path, [[1], [None, 0]])
    assert [shard.state for shard in own] == ["failed", "finished"], "the others are not stopped"
    assert own[0].starts == 3
    log = tmp_path / "0000" / "log.txt"
    assert own[0].error == f"shard 0000: exit code 1: its log gives no cause, 3 times without getting further ({log})"
    assert not executor.cancelled


def test_a_job_that_gets_further_is_not_given_up(tmp_path: Path) -> None:
    """One fails at every fourth image, say for its memory, and continues behind it; one fails at the same image."""
    passed = [[4.0 * start for start in range(1, 10)], [4.0] * 9]
    own, _, _ = run(tmp_path, [[-9] * 8 + [0], [-9]], passed)
    assert [(shard.state, shard.starts) for shard in own] == [("finished", 9), ("failed", 3)]


def test_a_job_that_vanishes_again_and_again_is_given_up(tmp_path: Path) -> None:
    own, _, _ = run(tmp_path, [[GONE]])
    assert (own[0].state, own[0].starts) == ("failed", 11)


def test_a_job_that_is_cancelled_by_hand_stays_so(tmp_path: Path) -> None:
    own, _, _ = run(tmp_path, [[CANCELLED], [0]])
    assert [shard.state for shard in own] == ["failed", "finished"]
    assert own[0].error.startswith("shard 0000: its job was cancelled by hand")
    assert own[0].starts == 1


def test_a_mistake_of_the_user_ends_all_jobs(tmp_path: Path) -> None:
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001" / "log.txt").write_text("seglight: error: --save ade: the model has 4 classes\n")
    executor = Scripted([[None], [2], [None]])
    own = [Shard(number, tmp_path / f"{number:04d}", 9, []) for number in range(3)]
    for shard in own:
        shard.folder.mkdir(exist_ok=True)
    coordinator = Coordinator(own, executor, "scripted", lambda _: None, StopSignals(), 9, interval=0.0)
    # the log was there before this start of the job, and what it says is of an earlier one
    coordinator.run()
    assert coordinator.refusal == f"{tmp_path}/0001/log.txt: exit code 2"
    assert sorted(executor.cancelled) == [0, 2]
    assert {shard.state for shard in own} == {"waiting"}


def test_a_signal_stops_all_jobs_and_starts_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = StopSignals()
    executor = Scripted([[None], [None], [None]])
    own = shards(tmp_path, 3)

    def changed(shard: Shard | None) -> None:
        if shard is None:
            stop.received = signal.SIGINT

    Coordinator(own, executor, "scripted", changed, stop, 2, interval=0.0).run()
    assert executor.started == [0, 1]
    assert executor.cancelled == [0, 1]
    assert {shard.state for shard in own} == {"waiting"}
    assert capsys.readouterr().err == "seglight: stopping: waiting for the jobs to end\n"
