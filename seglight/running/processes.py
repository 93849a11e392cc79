"""Who starts the processes of a run: Lightning itself, torchrun, or Slurm's srun."""

import os
from pathlib import Path

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from seglight.errors import UserError

RUN_DIR = "SEGLIGHT_RUN_DIR"
"""Variable in which the first process tells the run folder to those that Lightning starts from it."""


def launcher() -> ClusterEnvironment | None:
    """How torchrun or srun numbered this process, if one of them started it.

    Raises:
        UserError: Slurm is to run several tasks, and srun was left out or was not told how many a node gets.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if not SLURMEnvironment.detect():
        return None
    tasks = int(os.environ["SLURM_NTASKS"])
    if tasks > 1 and "SLURM_STEP_NUM_TASKS" not in os.environ:
        raise UserError(f"one process where the Slurm job has {tasks} tasks: put `srun` before the command")
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise UserError(f"{tasks} tasks by --ntasks: tell Slurm --nodes and --ntasks-per-node instead")
    # Lightning's own requeuing saves from within the signal's handler
    return SLURMEnvironment(auto_requeue=False)


def check_processes(trainer: Trainer, environment: ClusterEnvironment | None) -> None:
    """See that the trainer reckons with the processes that there are: otherwise they wait, or train each by itself.

    Raises:
        UserError: It does not, or its strategy would silently train another way.
    """
    if isinstance(trainer.strategy, FSDPStrategy):
        raise UserError("trainer.strategy fsdp: its flat weights would not decay: use configs/cluster/fsdp.yaml")
    wanted = trainer.num_devices * trainer.num_nodes
    if environment is not None and environment.world_size() != wanted:
        raise UserError(
            f"{environment.world_size()} processes were started, trainer.devices {trainer.num_devices} x "
            f"trainer.num_nodes {trainer.num_nodes} is {wanted}: let devices be the processes of a node"
        )


def shared_run_dir(proposal: Path) -> Path:
    """The folder for a run that was told none: what the first process proposed, whose name has its own time in it.

    Raises:
        UserError: torchrun or srun started several processes, of which none is first.
    """
    environment = launcher()
    started_at_once = environment is not None and environment.world_size() > 1
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if started_at_once or (not first and RUN_DIR not in os.environ):
        raise UserError("give --run_dir DIR: each of the processes would choose a folder of its own")
    if first:
        os.environ[RUN_DIR] = str(proposal)
    return Path(os.environ[RUN_DIR])
