"""Jobs under Slurm, submitted by submitit; those that start together form one array.

A job that is warned before its time limit, or preempted, saves its state, requeues itself and resumes; one that Slurm
does not requeue is submitted again. The states of jobs come from the controller, so that no accounting database is
needed.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.executors.executor import CANCELLED, GONE, Job, Wording
from seglight.commands.executors.job import STOP, Command, exit_code, is_running, request_stop, run, run_secondary
from seglight.errors import UserError
from seglight.system.signals import EXIT_CODE

ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
"""States of squeue that are final."""

FAILURES = ("DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT")
"""Final states that the job itself has caused."""

SOON = 1.0
"""Seconds between two queries of the controller while a job is known to end."""

WARNING = "USR1"
"""Signal before the time limit, at which `fit` saves its state and stops."""


class SlurmExecutor:
    """Executor that runs jobs under Slurm.

    Args:
        folder: Folder for submitit's files, shared by all nodes like those of the jobs.
        parameters: Arguments of `submitit.SlurmExecutor.update_parameters`, such as partition, account, time in
            minutes, gpus_per_node, signal_delay_s, and additional_parameters for other options of sbatch, such as
            requeue.
        wording: Words of the command in messages.
        gpus: GPUs of a job, unless the cluster has none.
        interval: Seconds between two queries of the controller.

    Raises:
        UserError: Slurm is not available on this machine, or does not know a parameter.
    """

    def __init__(
        self, folder: Path, parameters: dict[str, Any], wording: Wording, gpus: int = 0, interval: float = 5.0
    ) -> None:
        import submitit
        from submitit.slurm.slurm import SlurmJobEnvironment

        SlurmJobEnvironment.USR_SIG = WARNING
        self.slots: int | None = None
        self.wording = wording
        self.interval = interval
        self.queried_at = float("-inf")
        self.states: dict[str, str] = {}
        try:
            self.executor = submitit.SlurmExecutor(folder.absolute())
            # Slurm may send SIGTERM to the batch script too, which has to wait for its tasks
            setup = ["trap : TERM", *(parameters.get("setup") or [])]
            # the first task may measure costs after the others have ended; tasks that wait for a dead one are killed
            srun = ["--wait=600", *(parameters.get("srun_args") or [])]
            own: dict[str, Any] = {"setup": setup, "srun_args": srun}
            if gpus and has_gpus():
                own["gpus_per_node"] = gpus
            self.executor.update_parameters(**parameters | own)
        except RuntimeError as error:
            raise UserError(
                "--executor slurm: this machine has no srun: run the command on a login node of the cluster"
            ) from error
        except (ValueError, TypeError) as error:
            raise UserError(f"{wording.parameters}: {error}") from error

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs as one array; returns Slurm's ids."""
        self.queried_at = float("-inf")
        folders = [job.folder.absolute() for job in jobs]
        commands = [job.commands for job in jobs]
        try:
            submitted = self.executor.map_array(run_task, folders, commands, [Path.cwd()] * len(jobs))
            return [job.job_id for job in submitted]
        except Exception as error:  # submitit and subprocess raise classes of their own
            raise UserError(
                f"sbatch refuses the jobs: {error}: correct {self.wording.parameters}, then {self.wording.resume}"
            ) from error

    def poll(self, job: Job) -> int | str | None:
        """As in `Executor`; a job that the controller does not know any more has ended."""
        interval = self.interval if exit_code(job.folder) is None else SOON
        if time.monotonic() - self.queried_at >= interval and not self._query():
            return None
        state = self.states.get(job.name)
        if state is not None and state not in ENDED:
            return None
        if state == "CANCELLED":
            return GONE if (job.folder / STOP).exists() else CANCELLED
        code = exit_code(job.folder)
        if code is None and is_running(job.folder):  # its id was not recorded
            return None
        if code is None:
            return f"state {state} of Slurm" if state in FAILURES else GONE
        return code

    def cancel(self, job: Job) -> None:
        """As in `Executor`; a job that waits is removed from the queue."""
        request_stop(job.folder)
        if job.name:
            subprocess.run(["scancel", "--state=PENDING", job.name], capture_output=True, check=False)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _query(self) -> bool:
        """Ask for the states of all jobs; False if the controller does not answer, as when it is busy."""
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", "--me"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            self.states = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
            self.queried_at = time.monotonic()
        return done.returncode == 0


def run_task(folder: Path, commands: list[Command], cwd: Path) -> int:
    """Run one task of a job: the first task writes the files of the job, the others only train.

    A job that Slurm, not the coordinator, has asked to stop requeues itself under its own id.
    """
    if int(os.environ.get("SLURM_PROCID", "0")) > 0:
        return run_secondary(commands[0][0], cwd)
    code = run(folder, commands, cwd)
    if code == EXIT_CODE and not (folder / STOP).exists():
        job = os.environ["SLURM_JOB_ID"]
        if "SLURM_ARRAY_TASK_ID" in os.environ:  # the plain id of an array's last task names the whole array
            job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        state = ["squeue", "--noheader", "--jobs", job, "--format=%T"]
        # a cancelled job is to stay cancelled, and one that Slurm itself requeues is already pending
        if subprocess.run(state, capture_output=True, text=True, check=False).stdout.strip() == "RUNNING":
            subprocess.run(["scontrol", "requeue", job], check=False)
    return code


def has_gpus() -> bool:
    """Whether a node of the cluster has GPUs."""
    command = ["sinfo", "--noheader", "--format=%G"]
    return "gpu" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
