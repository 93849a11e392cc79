"""Process that predicts a shard: `python -m seglight.commands.predict.shards.worker FOLDER`.

Its exit code is 0 if it has reached its end, 2 after a mistake of the user, which it prints, and 75 if it was asked to
stop. Started again, it skips the images that are done.
"""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from seglight.commands.predict.command import Part
from seglight.commands.predict.remote_folder import open_destination
from seglight.commands.predict.request import Request
from seglight.commands.predict.shards.shard import (
    PLAN,
    PROGRESS,
    TABLES,
    read_plan,
    read_progress,
    write_outcome,
    write_progress,
)
from seglight.errors import UserError, one_line, user_error_behind
from seglight.system.escaping import write_anything
from seglight.system.signals import EXIT_CODE, SCHEDULERS
from seglight.system.threads import THREADS, granted_threads, sleep_at_barriers

INTERVAL = 0.5
"""Seconds between two records of the progress."""


class Interruption:
    """Ends the work of a process at the first signal, as Ctrl-C does; later signals change nothing.

    Attributes:
        came: Whether a signal has arrived.
    """

    def __init__(self) -> None:
        self.came = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, at the first signal."""
        if not self.came:
            self.came = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived: the first exception may have been lost in a callback."""
        if self.came:
            raise KeyboardInterrupt


class Progress:
    """Records the progress of a job in its folder.

    Args:
        folder: Folder of the job.
        part: What the job predicts.
        check: Function that raises if the job is to stop.
    """

    def __init__(self, folder: Path, part: Part, check: Callable[[], None]) -> None:
        self.folder = folder
        self.part = part
        self.check = check
        self.passed = 0.0
        self.started_before = (folder / PROGRESS).exists()
        self.earlier = read_progress(folder)[1]
        self.recorded_at = float("-inf")

    @property
    def written(self) -> int:
        """Number of label maps that were written in all starts of the job, as far as earlier ones have recorded."""
        return self.earlier + self.part.run.written

    def count_written(self) -> int:
        """Number of label maps that were written in all starts, with those that a killed one has not recorded."""
        run = self.part.run
        if run.out.is_remote or not self.started_before:
            return self.written
        planned_at = (self.folder / PLAN).stat().st_mtime_ns
        return sum(path.stat().st_mtime_ns >= planned_at for _, path in run.done)

    def advance(self, number: float) -> None:
        """Note that an image, or a fraction of one, was passed."""
        self.check()
        self.passed += number
        if time.monotonic() - self.recorded_at >= INTERVAL:
            self.record()

    def record(self) -> None:
        """Write the progress to its file."""
        write_progress(self.folder, self.passed, self.written)
        self.recorded_at = time.monotonic()


def run(folder: Path, check: Callable[[], None]) -> None:
    """Predict the shard that a folder describes, and write there what came of it.

    Args:
        folder: Folder of the job.
        check: Function that raises if the job is to stop.

    Raises:
        UserError: The model cannot be used, or is no longer that of the plan, or nothing can be written.
    """
    request, sources, made_by = read_plan(folder)
    with open_destination(request.out, one_at_a_time=request.limit is not None) as destination:
        part = Part(request, destination, granted_threads())
        _check_models(request, made_by, part.run.provenance)
        progress = Progress(folder, part, check)
        try:
            part.predict(sources, progress.advance)
        finally:
            progress.record()
        write_outcome(folder, part.finish(sources, folder / TABLES, progress.count_written()))


def _check_models(request: Request, planned: str, loaded: str) -> None:
    """Check that the models are those that the command was started with, as those of the other shards are.

    Args:
        request: Options of the command.
        planned: Provenance that the plan states.
        loaded: Provenance of the label maps that this process would write, worked out after the models were loaded.

    Raises:
        UserError: A model was replaced.
    """
    found = zip(request.models, planned.split(), loaded.split(), strict=False)  # options follow
    replaced = [model for model, before, now in found if before != now]
    if replaced:
        raise UserError(f"{', '.join(replaced)}: replaced since the command was started: repeat the command")


def main(folder: Path) -> int:
    """Predict a shard in a process of its own, and return the exit code.

    Signals of a scheduler end it as Ctrl-C ends a command: no file is left half-written.
    """
    interruption = Interruption()
    for number in SCHEDULERS:
        signal.signal(number, interruption.handle)
    try:
        run(folder, interruption.check)
    except KeyboardInterrupt:
        return EXIT_CODE
    except Exception as error:
        mistake = user_error_behind(error)
        if mistake is None:
            raise
        sys.stderr.write(f"seglight: error: {one_line(mistake)}\n")
        return 2
    return 0


if __name__ == "__main__":
    if "SLURM_CPUS_ON_NODE" in os.environ:  # not each cluster confines a job to its CPUs
        os.environ.setdefault(THREADS, os.environ["SLURM_CPUS_ON_NODE"])
    sleep_at_barriers()
    write_anything()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # problems of an image are reported as its failure
    sys.exit(main(Path(sys.argv[1])))
