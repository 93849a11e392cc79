"""Jobs as tasks of a Ray cluster."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.commands.executors.executor import GONE, Job, Wording
from seglight.commands.executors.job import exit_code, is_running, request_stop, run
from seglight.errors import UserError


class RayExecutor:
    """Executor that runs jobs as tasks on an existing Ray cluster, or on one that this process starts.

    The connection uses a token, as the cluster does if `RAY_AUTH_MODE=token` is set there too.

    Args:
        arguments: Arguments of `ray.init`, such as address, and `resources`, those of a job: num_cpus, num_gpus.
        wording: Words of the command in messages.
        gpus: GPUs of a job beside those `resources`, unless the cluster has none.

    Raises:
        UserError: Ray is not installed, the cluster does not answer or refuses the token, or an argument is wrong.
    """

    def __init__(self, arguments: dict[str, Any], wording: Wording, gpus: int = 0) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
            from ray.exceptions import RayError
        except ImportError as error:
            raise UserError(f'--executor ray: {error}: run pip install "seglight[ray]"') from error
        self.ray = ray
        self.wording = wording
        self.slots: int | None = None
        self.tasks: dict[str, Any] = {}
        init = {key: value for key, value in arguments.items() if key != "resources"}
        self.errors = (RayError, OSError, ValueError, TypeError, RuntimeError, AssertionError)
        """What Ray raises for wrong arguments, or if it loses its cluster."""
        try:
            ray.init(**{"log_to_driver": False, "include_dashboard": None} | init)
            resources = {"num_cpus": 1} | (arguments.get("resources") or {})
            if gpus and ray.cluster_resources().get("GPU"):  # type: ignore[no-untyped-call]
                resources["num_gpus"] = gpus
            self.task = ray.remote(max_retries=0, **resources)(run)  # the coordinator retries, not Ray
        except self.errors as error:
            raise UserError(f"{wording.parameters}: {error}") from error

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Start tasks; their names are Ray's ids."""
        try:
            for job in jobs:
                self.tasks[str(job.folder)] = self.task.remote(job.folder.absolute(), job.commands, Path.cwd())
        except self.errors as error:
            raise UserError(
                f"{self.wording.parameters}: {error}: check the cluster, then {self.wording.resume}"
            ) from error
        return [str(self.tasks[str(job.folder)].hex()) for job in jobs]

    def poll(self, job: Job) -> int | str | None:
        """As in `Executor`; tasks end with the process that submitted them, so those of an earlier one are gone."""
        task = self.tasks.get(str(job.folder))
        if task is not None:
            if not self.ray.wait([task], timeout=0)[0]:
                return None
            del self.tasks[str(job.folder)]
            try:
                self.ray.get(task)
            except self.ray.exceptions.RayTaskError as error:
                return f"exception of its task: {str(error).splitlines()[-1]}"
            except self.ray.exceptions.RayError:  # a worker or a node has died
                pass
        if is_running(job.folder):
            return None
        code = exit_code(job.folder)
        return GONE if code is None else code

    def cancel(self, job: Job) -> None:
        """As in `Executor`; a task that waits stops as soon as it starts."""
        request_stop(job.folder)

    def close(self) -> None:
        """Disconnect from the cluster."""
        self.ray.shutdown()
