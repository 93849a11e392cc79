"""Trials under a real Slurm: an array, one job cancelled by hand, one preempted and requeued, then at its time limit.

Covers: commands.executors.slurm.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seglight.commands.executors.executor import Wording
from seglight.commands.executors.slurm import SlurmExecutor
from seglight.commands.sweep.record import read_records
from tests.support.slurm import Slurm, cluster, missing, wait_for
from tests.support.small_sweeps import coordinator, lines, small_sweep

pytestmark = pytest.mark.slow

EPOCHS = 24


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as running:
        yield running


def test_cancelled_preempted_and_timed_out_jobs(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    trials = tmp_path / "trials"
    parameters = {"partition": "low", "time": 1, "signal_delay_s": 45, "additional_parameters": {"requeue": True}}
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = (tmp_path / "log").open("w", buffering=1)
        wording = Wording("running.slurm", "resume with --resume")
        executor = SlurmExecutor(tmp_path / "jobs", parameters, wording, interval=0.5)
        sweep = small_sweep(trials=2, running={"parallel": 2})
        os._exit(coordinator(tmp_path, sweep, EPOCHS, executor, seconds=1.0).run())

    def epochs(number: int) -> int:
        path = trials / f"{number:04d}" / "epochs"
        return len(lines(path)) if path.exists() else 0

    wait_for(lambda: min(epochs(0), epochs(1)) >= 1, "both to train")
    first, second = (record.job for record in read_records(trials))
    assert second.partition("_")[0] == first.partition("_")[0], "one array"
    slurm.run("scancel", first)
    wait_for(lambda: read_records(trials)[0].state == "failed", "the cancelled one to be reported")
    assert read_records(trials)[0].error.startswith("cancelled by hand")

    other = slurm.submit("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
    wait_for(lambda: len(lines(trials / "0001" / "starts")) == 2, "it to be requeued", 120)
    wait_for(lambda: len(lines(trials / "0001" / "starts")) == 3, "its time to be over", 120)
    wait_for(lambda: read_records(trials)[1].state == "finished", "the end", 120)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lines(trials / "0001" / "epochs") == list(range(EPOCHS))
    assert lines(trials / "0001" / "stops") == [signal.SIGTERM, signal.SIGUSR1], "preempted, then warned of its limit"
    starts = lines(trials / "0001" / "starts")
    assert 0 < starts[1] < starts[2] < EPOCHS, "resumed from its checkpoint each time"
    assert slurm.show(other)["JobState"] == "COMPLETED"
    assert read_records(trials)[1].failures == 0
    assert read_records(trials)[1].job == second, "the same job from the first start to the last"
    assert len(lines(trials / "0000" / "starts")) == 1, "a cancelled trial is not started again"
