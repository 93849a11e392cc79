"""Trials as jobs of Slurm, by submitit; those that start together are one array.

A job that is warned before its time limit, or driven out, saves, has itself requeued and goes on; one that Slurm does
not requeue is submitted again. How jobs stand is asked of the controller, which needs no accounting database.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.sweep.executors.executor import CANCELLED, GONE, Job
from seglight.commands.sweep.job import STOP, Command, exit_code, is_running, run, stop, train_along
from seglight.errors import UserError
from seglight.system.signals import EXIT_CODE

ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
"""States of squeue that a job does not come back from."""

FAILURES = ("DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT")
"""Of these, those that are the job's own doing."""

WARNING = "USR1"
"""The signal before the time limit: `fit` saves and leaves at it."""


class SlurmExecutor:
    """Jobs of Slurm.

    Args:
        folder: For submitit's files; shared by all nodes, as the trials' are.
        parameters: Of `submitit.SlurmExecutor.update_parameters`, such as partition, account, time in minutes,
            gpus_per_node, signal_delay_s, and additional_parameters for what it has no name for, such as requeue.
        every: Seconds between two questions to the controller.

    Raises:
        UserError: There is no Slurm here, or it has no such parameter.
    """

    def __init__(self, folder: Path, parameters: dict[str, Any], every: float = 5.0) -> None:
        import submitit
        from submitit.slurm.slurm import SlurmJobEnvironment

        SlurmJobEnvironment.USR_SIG = WARNING
        self.slots: int | None = None
        self.every, self.asked = every, float("-inf")
        self.states: dict[str, str] = {}
        try:
            self.executor = submitit.SlurmExecutor(folder.absolute())
            # Slurm tells the batch script to leave at times, too: it waits for its tasks
            setup = ["trap : TERM", *(parameters.get("setup") or [])]
            # tasks that wait for one that died are ended; the first may measure costs when the others are done
            srun = ["--wait=600", *(parameters.get("srun_args") or [])]
            own = {"setup": setup, "srun_args": srun}
            self.executor.update_parameters(**{"job_name": "seglight-sweep"} | parameters | own)
        except RuntimeError as error:
            raise UserError("--executor slurm: no srun on this machine: start the sweep on a login node") from error
        except (ValueError, TypeError) as error:
            raise UserError(f"running.slurm: {error}") from error

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs as one array; gives Slurm's ids."""
        self.asked = float("-inf")
        folders, commands = [job.folder.absolute() for job in jobs], [job.commands for job in jobs]
        try:
            submitted = self.executor.map_array(on_node, folders, commands, [Path.cwd()] * len(jobs))
            return [job.job_id for job in submitted]
        except Exception as error:  # submitit's own kinds, and subprocess's
            raise UserError(f"sbatch refuses: {error}: see running.slurm; then go on with --resume") from error

    def poll(self, job: Job) -> int | str | None:
        """As in Executor; a job of which the controller knows nothing any more has ended."""
        if time.monotonic() - self.asked >= self.every and not self._ask():
            return None
        state = self.states.get(job.name)
        if state is not None and state not in ENDED:
            return None
        if state == "CANCELLED":
            return GONE if (job.folder / STOP).exists() else CANCELLED
        code = exit_code(job.folder)
        if code is None and is_running(job.folder):  # its id was lost
            return None
        if code is None:
            return state if state in FAILURES else GONE
        return code

    def cancel(self, job: Job) -> None:
        """One that waits is taken out of the queue."""
        stop(job.folder)
        if job.name:
            subprocess.run(["scancel", "--state=PENDING", job.name], capture_output=True, check=False)

    def close(self) -> None:
        """Nothing to let go of."""

    def _ask(self) -> bool:
        """Whether the controller answered: one that is busy tells nothing."""
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", "--me"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            self.states = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
            self.asked = time.monotonic()
        return done.returncode == 0


def on_node(folder: Path, commands: list[Command], cwd: Path) -> int:
    """What each task of a job does: the first keeps the trial's files, the others train along.

    A job that was warned, by Slurm and not by the sweep, has itself requeued under its own id.
    """
    if int(os.environ.get("SLURM_PROCID", "0")) > 0:
        return train_along(commands[0][0], cwd)
    code = run(folder, commands, cwd)
    if code == EXIT_CODE and not (folder / STOP).exists():
        job = os.environ["SLURM_JOB_ID"]
        if "SLURM_ARRAY_TASK_ID" in os.environ:  # by its own number, the last task of an array is the whole array
            job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        state = ["squeue", "--noheader", "--jobs", job, "--format=%T"]
        # one that was cancelled is to stay so, one that Slurm requeues by itself is pending again
        if subprocess.run(state, capture_output=True, text=True, check=False).stdout.strip() == "RUNNING":
            subprocess.run(["scontrol", "requeue", job], check=False)
    return code
