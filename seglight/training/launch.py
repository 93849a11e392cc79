"""The launcher of a run's processes: Lightning itself, torchrun, or Slurm's srun."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from seglight.errors import UserError
from seglight.system.signals import STOP
from seglight.training.resume.folder import check_apart, check_utf8
from seglight.training.resume.lock import PATIENCE, FolderInUseError, FolderLock, wait_for_first

RUN_DIR = "SEGLIGHT_RUN_DIR"
"""Environment variable that passes the run folder to the processes that Lightning starts from the first one."""


def launcher() -> ClusterEnvironment | None:
    """Return the cluster environment of torchrun or srun; None if neither started this process.

    Raises:
        UserError: The Slurm job has several tasks, and srun is missing or does not set the tasks per node.
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
    """Check that the trainer expects the processes that were started: otherwise they wait, or train separately.

    Args:
        trainer: Trainer of the run.
        environment: Cluster environment that started the processes, if any.

    Raises:
        UserError: The trainer expects another number, or its strategy would silently train in another way.
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
    """Return the folder of a run without --run_dir: the one proposed by the first process, with the time in its name.

    Raises:
        UserError: torchrun or srun started several processes at once.
    """
    environment = launcher()
    started_at_once = environment is not None and environment.world_size() > 1
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if started_at_once or (not first and RUN_DIR not in os.environ):
        raise UserError("give --run_dir DIR: each of the processes would choose a folder of its own")
    if first:
        os.environ[RUN_DIR] = str(proposal)
    return Path(os.environ[RUN_DIR])


def is_first() -> bool:
    """Whether this is the process of a run that writes to its folder."""
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return False
    # without torchrun and srun, the first process of each machine is started by hand, with NODE_RANK set
    return launcher() is not None or int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0))) == 0


def job_name() -> str:
    """Return an identifier of the processes that torchrun or srun started together; "" without them."""
    environment, names = launcher(), list[str]()
    if isinstance(environment, TorchElasticEnvironment):
        names = ["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT"]
    elif environment is not None:
        names = ["SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"]
    return " ".join(os.environ.get(name, "-") for name in names)


@contextmanager
def claimed_run_dir(given: str | None, proposal: Path, root: str | None, resumes: bool) -> Iterator[Path]:
    """Lock the folder of a run within the context, in its first process.

    Args:
        given: Value of --run_dir, if any.
        proposal: Folder to use otherwise; a number is appended if it exists already.
        root: Folder of the data set, which must be separate.
        resumes: Whether to wait for a process that is stopping, because it may still be saving.

    Raises:
        UserError: Another process uses the folder, it can't be written to, its name is not UTF-8, or it and the data
            set contain one another.
    """
    check_utf8(Path(given or proposal))
    check_apart(Path(given or proposal), root, "--run_dir")
    job = job_name()
    if not is_first():
        folder = Path(given) if given else shared_run_dir(proposal)
        if job:  # otherwise the first process has started this one, and has the lock
            wait_for_first(folder, job)
        yield folder
        return
    if given:
        lock = FolderLock(Path(given), job=job, stopping=lambda: STOP.received is not None)
        lock.acquire(PATIENCE if resumes else 0.0)
    else:
        lock = _lock_of_new_folder(shared_run_dir(proposal))
        shared_run_dir(lock.folder)
    try:
        yield lock.folder
    finally:
        lock.release()


def _lock_of_new_folder(proposal: Path) -> FolderLock:
    """Lock a new folder: several runs may start within the second of their name."""
    for number in itertools.count(1):
        folder = proposal if number == 1 else proposal.with_name(f"{proposal.name}-{number}")
        lock = FolderLock(folder, stopping=lambda: STOP.received is not None)
        try:
            lock.acquire()
        except FolderInUseError:
            continue
        if folder in lock.made:
            return lock
        lock.release()
    raise AssertionError
