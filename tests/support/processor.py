"""Seconds of the processor, which depend less than those of the clock on what else the machine does."""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def python(*arguments: object, cwd: Path | None = None) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run Python in a process; the seconds that it used, in user and system mode, and what it left.

    Args:
        arguments: What follows the interpreter on the command line.
        cwd: Working directory; None: that of this process.
    """
    command: Sequence[str] = [sys.executable, *map(str, arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done
