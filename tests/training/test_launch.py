"""What a run makes of the processes that torchrun or srun started, and of those that Lightning starts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from seglight.errors import UserError
from seglight.training.launch import check_processes, launcher, shared_run_dir
from tests.support import resumable

TASK = {
    "SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
}  # fmt: skip
"""What Slurm 22.05 tells the first of two tasks that srun started."""

WORKER = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
"""What torchrun tells its first worker."""


@pytest.fixture
def first_of_two(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make this process one that somebody started; the names are of variables that are missing."""
    for name in (*TASK, *WORKER, "SEGLIGHT_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)

    def started(variables: dict[str, str], *missing: str) -> None:
        for name in variables.keys() - set(missing):
            monkeypatch.setenv(name, variables[name])

    return started


def test_srun_and_torchrun_are_noticed(first_of_two: Callable[..., None]) -> None:
    assert launcher() is None
    first_of_two(TASK)
    task = launcher()
    assert isinstance(task, SLURMEnvironment)
    assert (task.world_size(), task.auto_requeue) == (2, False)
    first_of_two(WORKER)  # torchrun within a job
    assert isinstance(launcher(), TorchElasticEnvironment)


def test_a_job_without_srun_is_refused(first_of_two: Callable[..., None]) -> None:
    first_of_two(TASK, "SLURM_STEP_NUM_TASKS")
    with pytest.raises(UserError, match="put `srun` before"):
        launcher()


def test_a_job_that_counts_all_tasks_is_refused(first_of_two: Callable[..., None]) -> None:
    first_of_two(TASK, "SLURM_NTASKS_PER_NODE")
    with pytest.raises(UserError, match="--ntasks-per-node"):
        launcher()


def test_who_is_started_by_the_first_process_takes_its_folder(
    first_of_two: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_run_dir(Path("runs/at_noon")) == Path("runs/at_noon")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert shared_run_dir(Path("runs/a_second_later")) == Path("runs/at_noon")


@pytest.mark.parametrize("variables", [TASK, WORKER], ids=["srun", "torchrun"])
def test_processes_that_start_together_need_a_folder(
    variables: dict[str, str], first_of_two: Callable[..., None]
) -> None:
    first_of_two(variables)
    with pytest.raises(UserError, match="give --run_dir DIR"):
        shared_run_dir(Path("runs/at_noon"))


@pytest.mark.parametrize("variables", [TASK, WORKER], ids=["srun", "torchrun"])
def test_two_processes_do_not_train_each_by_itself(
    variables: dict[str, str], first_of_two: Callable[..., None], tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    recipe = resumable.write_recipe(tmp_path)
    first_of_two(variables)
    ran = seglight_cli("fit", "--config", recipe, "--run_dir", tmp_path / "run", "--trainer.devices", 1)
    assert ran.rc == 2
    assert "2 processes were started, trainer.devices 1 x trainer.num_nodes 1 is 1" in ran.err


def test_the_strategy_that_loses_the_weight_decay_is_refused() -> None:
    trainer: Any = SimpleNamespace(strategy=FSDPStrategy())
    with pytest.raises(UserError, match=r"use configs/cluster/fsdp\.yaml"):
        check_processes(trainer, None)
