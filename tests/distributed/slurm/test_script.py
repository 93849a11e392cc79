"""configs/cluster/slurm.sh under a real Slurm, with a stand-in for the training: what is requeued and what is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.slurm import Slurm, cluster, missing, processes_of, wait_for

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "configs" / "cluster" / "slurm.sh"

STAND_IN = """#!/usr/bin/env bash
# leaves with code 75 when told to, as a training does, or with 1 at once where --fail is asked for
trap 'exit 75' TERM USR1
echo "start ${SLURM_RESTART_COUNT:-0} of task $SLURM_PROCID: $*"
[[ $* == *--fail* ]] && exit 1
for _ in {1..300}; do sleep 0.1; done
"""


class Job:
    """A job of the script with the stand-in, and what it said."""

    def __init__(self, slurm: Slurm, folder: Path, *arguments: str) -> None:
        self.slurm, self.out = slurm, folder / "out"
        (folder / "python").write_text(STAND_IN)
        (folder / "python").chmod(0o755)
        path = f"--export=ALL,PATH={folder}:{slurm.environment['PATH']}"
        options = (path, "--ntasks-per-node=2", f"--chdir={folder}", f"--output={self.out}")
        self.id = slurm.submit(*options, SCRIPT, *arguments)

    def wait_for_start(self, number: int) -> None:
        def started() -> bool:
            return self.out.exists() and self.out.read_text().count(f"start {number} of task") == 2

        wait_for(started, f"start {number} of {self.out}")


@pytest.fixture
def job(slurm: Slurm, tmp_path: Path) -> Iterator[Job]:
    job = Job(slurm, tmp_path, "--config", "x.yaml")
    job.wait_for_start(0)
    yield job
    slurm.run("scancel", job.id)
    slurm.wait(job.id, "CANCELLED")


def test_the_tasks_get_the_folder_of_the_job(job: Job) -> None:
    expected = f"fit --run_dir runs/slurm-{job.id} --resume --trainer.num_nodes 1 --trainer.devices 2 --config x.yaml\n"
    assert job.out.read_text().count(expected) == 2


def test_goes_on_after_a_job_of_higher_priority(slurm: Slurm, job: Job) -> None:
    other = slurm.submit("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
    job.wait_for_start(1)
    assert slurm.show(other)["JobState"] == "COMPLETED"
    assert slurm.show(job.id)["Restarts"] == "1"


def test_goes_on_after_a_requeue_and_after_its_warning(slurm: Slurm, job: Job) -> None:
    slurm.run("scontrol", "requeue", job.id)
    job.wait_for_start(1)
    slurm.run("scancel", "--signal=USR1", job.id)  # what --signal sends before the time limit
    job.wait_for_start(2)
    assert slurm.show(job.id)["Restarts"] == "2"


def test_stays_cancelled(slurm: Slurm, job: Job) -> None:
    slurm.run("scancel", job.id)
    slurm.wait(job.id, "CANCELLED")
    wait_for(lambda: not slurm.run("squeue", "--noheader", f"--jobs={job.id}"), "the tasks to leave")
    assert slurm.show(job.id)["JobState"] == "CANCELLED"
    assert slurm.show(job.id)["Restarts"] == "0"


def test_stays_failed(slurm: Slurm, tmp_path: Path) -> None:
    job = Job(slurm, tmp_path, "--fail")
    slurm.wait(job.id, "FAILED")
    assert slurm.show(job.id)["ExitCode"] == "1:0"


def test_a_cluster_starts_and_goes_as_often_as_one_likes(tmp_path: Path) -> None:
    reason = missing()
    if reason:
        pytest.skip(reason)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with cluster(tmp_path / name) as slurm:
            slurm.submit("--output=/dev/null", "--wrap=sleep 100")
            assert slurm.run("srun", "--ntasks=1", "--overlap", "echo", "here") == "here"
            assert len(processes_of(slurm)) >= 3
        assert processes_of(slurm) == []
