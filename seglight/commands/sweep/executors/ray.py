"""Trials as tasks of a Ray cluster."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.sweep.executors.executor import GONE, Job
from seglight.commands.sweep.job import exit_code, is_running, run, stop
from seglight.errors import UserError


class RayExecutor:
    """Tasks on a cluster that runs already, or on one of this process's own.

    The connection asks for a token, as Ray does where `RAY_AUTH_MODE=token` is set for the cluster too.

    Args:
        arguments: Of `ray.init`, such as address; `resources` are those of a trial: num_cpus, num_gpus.

    Raises:
        UserError: Ray is not there, the cluster does not answer or wants another token, or an argument is wrong.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
            from ray.exceptions import RayError
        except ImportError as error:
            raise UserError(f'--executor ray: {error}: pip install "seglight[ray]"') from error
        self.ray = ray
        self.slots: int | None = None
        self.tasks: dict[str, Any] = {}
        rest = {key: value for key, value in arguments.items() if key != "resources"}
        self.errors = (RayError, OSError, ValueError, TypeError, RuntimeError, AssertionError)
        """What Ray raises where it is told something wrong, or loses its cluster."""
        try:
            ray.init(**{"log_to_driver": False, "include_dashboard": None} | rest)
            resources = {"num_cpus": 1} | (arguments.get("resources") or {})
            self.task = ray.remote(max_retries=0, **resources)(run)  # another attempt is the coordinator's to begin
        except self.errors as error:
            raise UserError(f"running.ray: {error}") from error

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start tasks; their names are Ray's ids."""
        try:
            for job in jobs:
                self.tasks[str(job.folder)] = self.task.remote(job.folder.absolute(), job.commands, Path.cwd())
        except self.errors as error:
            raise UserError(f"running.ray: {error}: see to the cluster, then go on with --resume") from error
        return [str(self.tasks[str(job.folder)].hex()) for job in jobs]

    def poll(self, job: Job) -> int | str | None:
        """As in Executor; tasks end with the process that submitted them, of another one there are none."""
        task = self.tasks.get(str(job.folder))
        if task is not None:
            if not self.ray.wait([task], timeout=0)[0]:
                return None
            del self.tasks[str(job.folder)]
            try:
                self.ray.get(task)
            except self.ray.exceptions.RayTaskError as error:
                return f"of its task: {str(error).splitlines()[-1]}"
            except self.ray.exceptions.RayError:  # a worker or a node is gone
                pass
        if is_running(job.folder):
            return None
        code = exit_code(job.folder)
        return GONE if code is None else code

    def cancel(self, job: Job) -> None:
        """One that waits starts, and leaves at the next word."""
        stop(job.folder)

    def close(self) -> None:
        """Leave the cluster."""
        self.ray.shutdown()
